"""GET /_history: the last hours and days of this node."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.history.windows import History, HistoryRequest


class HistoryAnswer:
    """GET /_history: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, history: History) -> None:
        self._history = history

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the rows of a window."""
        resp.media = self._history.answer(HistoryRequest.read(query_of(req)))
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
