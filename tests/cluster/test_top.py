"""`image-cloud top` on one node shows all of them."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.nodes import Nodes, eventually
from tests.stack.running import Refused


def seen(nodes: Nodes) -> dict[str, dict[str, Any]]:
    """Return what `top` on ic00 says of each node, nothing while one of them is not well."""
    try:
        told = json.loads(nodes["ic00"].cli("top", "--json"))
    except Refused:
        return {}
    return {one["name"]: one for one in told["nodes"]}


def test_every_node_is_shown_with_its_own_figures(nodes: Nodes) -> None:
    def are_known() -> bool:
        found = seen(nodes)
        return len(found) == 4 and all(one["disk_free_bytes"] for one in found.values())

    eventually(are_known, "each node's own history is read")
    assert list(seen(nodes)) == ["ic00", "ic01", "ic02", "ic03"]
    assert {one["state"] for one in seen(nodes).values()} == {"ok"}
