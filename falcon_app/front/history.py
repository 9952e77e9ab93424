"""GET /history: the front pool checks who asks, the control pool reads the node's file."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.history.windows import HistoryRequest


class HistoryAsked:
    """GET /history: for operators."""

    scope = "ops"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the parameters, and send the request on."""
        hand_on(resp, "/_history", HistoryRequest.read(query_of(req)).arguments())

    on_head = on_get
