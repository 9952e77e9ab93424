"""GET /_similar: which pictures of the catalogue look alike."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.similar.request import SimilarRequest
from image_cloud.similar.search import Similar


class SimilarAnswer:
    """GET /_similar: only nginx gets here, sent by the front pool or the fetch pool."""

    scope = None
    internal = True

    def __init__(self, similar: Similar) -> None:
        self._similar = similar

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the pictures."""
        resp.media = self._similar.search(SimilarRequest.read_internal(query_of(req)))
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
