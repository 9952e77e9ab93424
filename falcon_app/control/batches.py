"""/fire_and_forget: POST takes a batch, GET tells how far it is."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.prefetch.body import Body
from image_cloud.prefetch.intake import Intake, ProgressRequest


class FireAndForget:
    """/fire_and_forget."""

    scope = "prefetch"

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a batch, whatever its Content-Type; 202 when PostgreSQL has it for good."""
        stream = req.stream if req.content_length is None else req.bounded_stream
        body = Body(stream, req.content_length)
        resp.media = self._intake.take(body, req.context.client.name)
        resp.status = falcon.HTTP_202
        resp.set_header("Cache-Control", "no-store")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell how far a batch is; with `list_failures` also which URLs failed."""
        resp.media = self._intake.progress(ProgressRequest.read(query_of(req)))
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
