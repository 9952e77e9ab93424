"""What `image-cloud top` reads from nodes and prints of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from image_cloud.cli.access import CannotReach
from image_cloud.cli.node_client import NodeClient
from image_cloud.cli.state import screen
from image_cloud.cli.state.reading import FROM_HISTORY, read

NOW = 1_795_372_165.0
DOMAIN = {
    "domain": "shop.example", "state": "paused", "slots": {"used": 0, "allowed": 8}, "since": "now",
    "next_try": "", "next_try_interactive": "", "failures": 3,
    "why": {"detail": "it said 429", "code": "origin_status"},
}  # fmt: skip


class Node:
    """A node that answers as a real one; `history` are rows of `columns`."""

    def __init__(self, name: str, peers: list[dict[str, Any]]) -> None:
        self.columns = ["time", "requests_per_s", "hit_share", "p50_s", "disk_days_left"]
        self.rows: list[list[float | None]] = [[NOW - 20, 1234.5, 0.987, 0.002, 12.0]]
        self.status: dict[str, Any] = {
            "node": name, "status": "ok", "storage": "ok", "database": "ok", "pools": {"fetch": "ok"},
            "at": NOW, "prefetch_paused": False, "peers": peers, "domains": [],
        }  # fmt: skip
        self.tokens: list[str | None] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.tokens.append(self.headers["X-Image-Cloud-Token"])
                history = {"columns": node.columns, "rows": node.rows}
                told = history if self.path.startswith("/history?") else node.status
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(told).encode())

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def new() -> Iterator[Callable[..., Node]]:
    """Return what makes a node."""
    made = []

    def make(name: str, *peers: dict[str, Any]) -> Node:
        made.append(Node(name, list(peers)))
        return made[-1]

    yield make
    for node in made:
        node.stop()


def peer(name: str, url: str) -> dict[str, Any]:
    return {"name": name, "url": url, "alive": True, "backlog": 7}


def test_a_node_and_its_peers(new: Callable[..., Node]) -> None:
    other = new("ic01")
    other.status |= {"status": "degraded", "database": "refused"}
    node = new("ic00", peer("ic01", other.url), peer("ic02", "http://127.0.0.1:1"))
    node.status["domains"] = [DOMAIN]
    seen = read(NodeClient(node.url, "secret"))
    ic00, ic01, ic02 = seen["nodes"]
    assert (ic00["name"], ic00["state"], ic00["requests_per_s"]) == ("ic00", "ok", 1234.5)
    assert (ic01["state"], ic01["remark"], ic01["hit_share"]) == (
        "degraded",
        "database: refused",
        0.987,
    )
    assert (ic02["name"], ic02["state"], ic02["clone_backlog"]) == ("ic02", "away", 7)
    assert ic02["requests_per_s"] is None
    assert set(other.tokens) == {"secret"}
    text = "\n".join(screen.lines(seen))
    assert "1 of 3 nodes are ok" in text
    assert "secret" not in text
    for said in ("1,234", "98.7%", "2 ms", "12 days", "ic01: database: refused", "shop.example"):
        assert said in text
    head = next(line for line in text.splitlines() if line.startswith("node "))
    row = next(line for line in text.splitlines() if line.startswith("ic00 "))
    assert head.index("req/s") + len("req/s") == row.index("1,234") + len("1,234")


@pytest.mark.parametrize(
    "rows", [[], [[NOW - 3600, 5, 5, 5, 5]], [[NOW - 10, None, None, None, None]]]
)
def test_what_is_not_known_is_a_dash(new: Callable[..., Node], rows: list[Any]) -> None:
    node = new("ic00")
    node.rows = rows
    seen = read(NodeClient(node.url, ""))
    assert {seen["nodes"][0][name] for name in FROM_HISTORY} == {None}
    assert list(screen.lines(seen))[3].split() == ["ic00", "ok", *["-"] * len(screen.COLUMNS)]


def test_the_last_row_in_which_something_is_known(new: Callable[..., Node]) -> None:
    node = new("ic00")
    node.rows = [[NOW - 30, 1, 1, 1, 1], [NOW - 20, 2, None, None, None], [NOW - 10, *[None] * 4]]
    assert read(NodeClient(node.url, ""))["nodes"][0]["requests_per_s"] == 2


def test_a_node_that_is_away() -> None:
    with pytest.raises(CannotReach):
        read(NodeClient("http://127.0.0.1:1", ""))


def test_peers_and_shops_control_no_terminal(new: Callable[..., Node]) -> None:
    other = new("ic\x1b[2J01")
    other.status |= {"status": "ok\x1b[31m", "storage": "\x1b]0;title\x07"}
    node = new("ic00", peer("ic01", other.url))
    other.rows = [[NOW - 5, "\x1b[2J", {}, [], True]]  # type: ignore[list-item]
    node.status["domains"] = [{**DOMAIN, "domain": "\x1b[8m"}]
    assert "\x1b" not in "\n".join(screen.lines(read(NodeClient(node.url, ""))))


def test_what_fits_on_a_terminal() -> None:
    red = f"{screen.RED}{'x' * 100}{screen.PLAIN}"
    found = screen.fitted([red, "y" * 100, *map(str, range(10))], 10, 4)
    assert found == [f"{screen.RED}{'x' * 10}{screen.PLAIN}", "y" * 10, "0", "... 9 more"]
