"""GET /_explain: why a picture is, or is not, here."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.explain.everywhere import Everywhere
from image_cloud.explain.request import ExplainRequest


class ExplainAnswer:
    """GET /_explain: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, everywhere: Everywhere) -> None:
        self._everywhere = everywhere

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with what is known."""
        asked = ExplainRequest.read(query_of(req))
        resp.media = self._everywhere.explain(asked.url, local=asked.local)
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
