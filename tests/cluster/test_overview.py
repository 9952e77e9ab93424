"""The overview of one node while others die, hang and come back."""

from __future__ import annotations

import re

from tests.cluster.nodes import Nodes, eventually
from tests.pages.asking import Script


def state(page: str, node: str) -> str:
    """Return what a node's card says of it."""
    found = re.search(rf'id="node-{node}".*?<span class="state \w+">([^<]+)', page, re.DOTALL)
    return found[1] if found else ""


def test_a_node_that_dies_is_told_and_one_that_comes_back_too(nodes: Nodes) -> None:
    script = Script(nodes["ic00"])
    assert script.log_in(nodes["ic00"].token).status_code == 303

    def states() -> list[str]:
        page = script.get("/").text
        return [state(page, name) for name in ("ic00", "ic01", "ic02", "ic03")]

    def all_answer() -> bool:
        return all(one.startswith(("Works", "Degraded")) for one in states())

    eventually(all_answer, "four cards with figures")
    with nodes["ic02"].paused():
        eventually(lambda: "<strong>ic02</strong>" in script.get("/").text, "a node that hangs")
        assert states()[3].startswith("Works"), "the others are as new as before"
    nodes["ic01"].kill()
    try:
        eventually(lambda: states()[1] == "Does not answer", "a node that is dead")
        assert re.search(
            r"<strong>ic01</strong>.*?\(last heard \d+ (s|min) ago\)",
            script.get("/").text,
            re.DOTALL,
        )
    finally:
        nodes.start("ic01")
    eventually(all_answer, "it is back")
