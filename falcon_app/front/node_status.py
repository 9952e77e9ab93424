"""GET /node_status: the front pool checks who asks, the control pool looks."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on


class NodeStatusRequest:
    """GET /node_status: for operators and peers."""

    scope = ("ops", "peer")

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Send the request on."""
        hand_on(resp, "/_node_status", {})

    on_head = on_get
