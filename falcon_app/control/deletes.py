"""GET /_delete: deletes a picture, on this node and through the feed on every other."""

from __future__ import annotations

import dataclasses

import falcon

from falcon_app.exchange import query_of
from image_cloud.cluster.deletes import Deletes
from image_cloud.request.params import DeleteParameters


class DeleteAnswer:
    """GET /_delete: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, deletes: Deletes) -> None:
        self._deletes = deletes

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete and say what was done."""
        asked = DeleteParameters().read(query_of(req))
        done = self._deletes.delete(asked.url, asked.block)
        resp.media = {"url": asked.url.text, **dataclasses.asdict(done)}
        resp.set_header("Cache-Control", "no-store")
