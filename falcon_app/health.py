"""GET /health and /ready: is this process up, can the node serve."""

from __future__ import annotations

from typing import Any

import falcon

from image_cloud.supervision.readiness import OK, Readiness


class Health:
    """GET /health."""

    scope = None

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer: whoever reads this has reached the process."""
        resp.media = {"status": OK}
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get


class Ready:
    """GET /ready: 200 `ok` or `degraded`; details for clients with the scope `ops`."""

    scope = None

    def __init__(self, node: str, readiness: Readiness) -> None:
        self._node = node
        self._readiness = readiness

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the state; a degraded node still serves, so it is a 200 too."""
        state, pools = self._readiness.state(), self._readiness.pools()
        is_well = all(value == OK for value in (*state.values(), *pools.values()))
        answer: dict[str, Any] = {"status": OK if is_well else "degraded"}
        if "ops" in req.context.scopes:
            answer |= {"node": self._node, **state, "pools": pools}
        resp.media = answer
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
