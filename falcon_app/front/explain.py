"""GET /explain: the front pool checks who asks, the control pool finds out."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.errors import ScopeMissing
from image_cloud.explain.request import ExplainRequest


class Explain:
    """GET /explain: for operators; for peers what this node alone knows."""

    scope = None

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check scope and parameters, and send the request on."""
        asked = ExplainRequest.read(query_of(req))
        needed = {"ops", "peer"} if asked.local else {"ops"}
        if not needed & set(req.context.scopes):
            raise ScopeMissing(f"the scope {' or '.join(sorted(needed))} is needed here")
        hand_on(resp, "/_explain", asked.arguments())

    on_head = on_get
