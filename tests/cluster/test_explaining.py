"""`explain` asks every node at once, and says so where one does not answer."""

from __future__ import annotations

from typing import Any

from tests.cluster.nodes import Nodes, eventually
from tests.cluster.test_cloning import new_picture
from tests.origin import Origin


def test_every_node_is_asked(nodes: Nodes, origin: Origin) -> None:
    url, _ = new_picture(origin)
    assert nodes["ic01"].get(url).status_code == 200

    def told() -> dict[str, Any]:
        content: dict[str, Any] = nodes["ic00"].ask("/explain", url=url).json()
        return content

    def is_everywhere() -> bool:
        said = told()
        verdicts = [said["verdict"], *(one.get("verdict", "") for one in said["peers"].values())]
        return len(verdicts) == 4 and all(one.startswith("here, with") for one in verdicts)

    eventually(is_everywhere, "all have it and say so")
    with nodes["ic02"].paused():
        peers = told()["peers"]
        assert peers["ic02"] == {"error": "no answer in time"}
        assert peers["ic03"]["verdict"].startswith("here")
    with nodes["ic03"].without_database():
        assert told()["peers"]["ic03"]["database"] != "ok"
