"""GET /metrics: the front pool checks who asks, the control pool looks."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on


class MetricsRequest:
    """GET /metrics: for Prometheus and operators."""

    scope = ("metrics", "ops")

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Send the request on."""
        hand_on(resp, "/_metrics", {})

    on_head = on_get
