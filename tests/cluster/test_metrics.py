"""What a node's metrics say of its peers."""

from __future__ import annotations

from image_cloud.metrics.definitions import all_definitions
from tests.cluster.nodes import Node, Nodes, eventually
from tests.cluster.test_cloning import new_picture
from tests.monitoring import named
from tests.origin import Origin


def lines(node: Node) -> list[str]:
    return node.ask("/metrics").text.splitlines()


def test_clones_and_peers_are_told(nodes: Nodes, origin: Origin) -> None:
    url, _ = new_picture(origin)
    assert nodes["ic01"].get(url).status_code == 200
    of_peers = {one.full_name for one in all_definitions() if "peer" in one.labels}

    def is_told() -> bool:
        found = [line for line in lines(nodes["ic00"]) if not line.startswith("#")]
        cloned = 'image_cloud_clones_total{outcome="ok"} 0.0' not in found
        return cloned and of_peers <= set(named(" ".join(found)))

    eventually(is_told, "the clone is counted, and each metric of a peer is there")
    assert {'image_cloud_peer_alive{peer="ic01"} 1.0', "image_cloud_clone_requests 0.0"} <= set(
        lines(nodes["ic00"])
    )


def test_a_peer_that_is_away(nodes: Nodes) -> None:
    with nodes["ic02"].paused():
        eventually(
            lambda: 'image_cloud_peer_alive{peer="ic02"} 0.0' in lines(nodes["ic00"]),
            "its absence is told",
        )
