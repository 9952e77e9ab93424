"""GET /metrics: this node's state and traffic as Prometheus text."""

from __future__ import annotations

import falcon

from image_cloud.supervision.metrics import NodeMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """GET /metrics."""

    scope = "ops"

    def __init__(self, metrics: NodeMetrics) -> None:
        self._metrics = metrics

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with all metrics."""
        resp.text = self._metrics.text()
        resp.content_type = CONTENT_TYPE
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
