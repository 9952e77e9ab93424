"""GET /_metrics: this node as Prometheus reads it."""

from __future__ import annotations

import falcon

from image_cloud.metrics.exposition import CONTENT_TYPE
from image_cloud.supervision.metrics.node import NodeMetrics


class MetricsAnswer:
    """GET /_metrics: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, metrics: NodeMetrics) -> None:
        self._metrics = metrics

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with all metrics."""
        resp.data = self._metrics.text()
        resp.content_type = CONTENT_TYPE
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
