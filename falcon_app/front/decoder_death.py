"""Front pool: what to say when the resize pool gave no answer."""

from __future__ import annotations

import falcon

from falcon_app.exchange import request_id
from image_cloud.errors import Busy, DecoderDied
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures

RETRY_AFTER_S = 2.0


class DecoderDeath:
    """GET /_no_resize: nginx asks this when the resize pool is full, away, or died of a picture.

    Looks for the request's mark in `attempts` and remembers the picture in `failures`.
    """

    scope = None

    def __init__(self, attempts: Attempts, failures: Failures) -> None:
        self._attempts = attempts
        self._failures = failures

    def on_get(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Raise DecoderDied, remembered, if the request was being decoded; else Busy."""
        key = self._attempts.take(request_id(req))
        if key is None:
            raise Busy("too many pictures are waiting to be resized", retry_after_s=RETRY_AFTER_S)
        error = DecoderDied()
        self._failures.remember(key, error, RESIZE)
        raise error

    on_head = on_get
