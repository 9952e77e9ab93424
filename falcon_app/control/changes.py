"""GET /_changes: a page of the change feed, as soon as it has news."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.cluster.feed_page import FeedPages, PageRequest


class ChangesAnswer:
    """GET /_changes: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, pages: FeedPages) -> None:
        self._pages = pages

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the changes behind the cursor, as soon as there are any."""
        resp.media = self._pages.answer(PageRequest.read(query_of(req)))
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
