"""Front pool: what to say when the resize pool gave no answer."""

from __future__ import annotations

import falcon

from falcon_app.exchange import request_id
from image_cloud.resize_pool.no_answer import NoAnswer


class DecoderDeath:
    """GET /_no_resize: nginx asks this when the resize pool is full, away, or died of a picture."""

    scope = None
    internal = True

    def __init__(self, no_answer: NoAnswer) -> None:
        self._no_answer = no_answer

    def on_get(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Say which it was."""
        raise self._no_answer.reason(request_id(req))

    on_head = on_get
