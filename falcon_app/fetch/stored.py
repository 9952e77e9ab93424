"""Fetch pool: an original on a storage that several nodes share, which nginx must not wait for."""

from __future__ import annotations

from wsgiref.handlers import format_date_time

import falcon

from falcon_app.exchange import COPY, MIMES
from image_cloud.request.conditions import FAILED, OK, Conditions
from image_cloud.storage.guard.sending import Sender


class StoredOriginal:
    """GET /_original/ab/cd/NAME: only nginx gets here, sent by a pool that has found the file."""

    scope = None

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, **_: str) -> None:
        """Send the file, or say that the client has it; nginx cuts out ranges."""
        sending = self._sender.open(name, req.get_param(COPY, default=""))
        resp.content_type = MIMES[sending.extension]
        resp.set_header("ETag", sending.tag)
        resp.set_header("Last-Modified", format_date_time(sending.modified_s))
        resp.status = status = Conditions.of(req.headers).status(sending.tag, sending.modified_s)
        if status == FAILED:
            raise falcon.HTTPPreconditionFailed
        if status == OK:
            resp.content_length = sending.version.bytes
            resp.stream = sending.pieces

    on_head = on_get
