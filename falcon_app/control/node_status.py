"""GET /_node_status: how this node is."""

from __future__ import annotations

import falcon

from image_cloud.supervision.node_status import NodeStatus


class NodeStatusAnswer:
    """GET /_node_status: only nginx gets here, sent by the front pool."""

    scope = None
    internal = True

    def __init__(self, status: NodeStatus) -> None:
        self._status = status

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the state."""
        resp.media = self._status.facts()
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
