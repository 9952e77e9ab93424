"""/fire_and_forget: POST takes or retries a batch, GET tells how far batches are, DELETE cancels one."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.errors import ScopeMissing
from image_cloud.prefetch.asked import ListRequest, Viewer, read_cancel, read_get, read_retry
from image_cloud.prefetch.batches import Batches
from image_cloud.prefetch.body import Body
from image_cloud.prefetch.intake import Intake


class FireAndForget:
    """/fire_and_forget: clients with the scope `prefetch` see their own batches, operators all."""

    scope = ("prefetch", "ops")

    def __init__(self, intake: Intake, batches: Batches) -> None:
        self._intake = intake
        self._batches = batches

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a batch, whatever its Content-Type; 202 when PostgreSQL has it for good.

        With `retry`, queue the failures of one again.
        """
        viewer, retried = _viewer(req), read_retry(query_of(req))
        if retried:
            resp.media = self._batches.retry(retried, viewer)
        else:
            resp.media = self._take(req)
            resp.status = falcon.HTTP_202
        resp.set_header("Cache-Control", "no-store")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell how far a batch is, with `list_failures` also which URLs failed; or list batches."""
        viewer, asked = _viewer(req), read_get(query_of(req))
        if isinstance(asked, ListRequest):
            resp.media = self._batches.newest(asked, viewer)
        else:
            resp.media = self._batches.progress(asked, viewer)
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Cancel what waits for a batch."""
        viewer = _viewer(req)
        resp.media = self._batches.cancel(read_cancel(query_of(req)), viewer)
        resp.set_header("Cache-Control", "no-store")

    def _take(self, req: falcon.Request) -> dict[str, object]:
        if "prefetch" not in req.context.scopes:
            raise ScopeMissing("the scope prefetch is needed for a new batch")
        stream = req.stream if req.content_length is None else req.bounded_stream
        return self._intake.take(Body(stream, req.content_length), req.context.client.name)


def _viewer(req: falcon.Request) -> Viewer:
    return Viewer(req.context.client.name, sees_all="ops" in req.context.scopes)
