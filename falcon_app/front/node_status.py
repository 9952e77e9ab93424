"""GET /node_status: the front pool checks who asks, the control pool looks."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on
from image_cloud.errors import ScopeMissing


class NodeStatusRequest:
    """GET /node_status: for operators and peers."""

    scope = None

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the scope, and send the request on."""
        if not {"ops", "peer"} & set(req.context.scopes):
            raise ScopeMissing("the scope ops or peer is needed here")
        hand_on(resp, "/_node_status", {})

    on_head = on_get
