"""What `top` shows of a node and its peers, asked of each of them."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from image_cloud.cli.access import CommandError
from image_cloud.cli.node_client import NodeClient

TIMEOUT_S = 5.0
LATELY_S = 60.0
AWAY, OK = "away", "ok"
FROM_HISTORY = (
    "requests_per_s", "hit_share", "p50_s", "p95_s", "p99_s", "errors_4xx_per_s", "errors_5xx_per_s",
    "fetch_running", "decoder_running", "decoder_waiting", "prefetch_waiting", "prefetch_leased",
    "clone_backlog", "disk_free_bytes", "disk_days_left", "memory_bytes",
)  # fmt: skip
"""Columns of /history (docs/api.md)."""

Facts = dict[str, Any]


def read(client: NodeClient) -> Facts:
    """Return the node that `client` asks, its peers and its domains in trouble.  Raises CannotReach, Refused.

    Peers are asked with the same token; of those that do not answer there is what the node says of them.
    """
    status = client.get("/node_status", TIMEOUT_S)
    peers = status["peers"]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(peers))) as threads:
        others = list(threads.map(lambda peer: _peer(client, peer), peers))
    own = _node(client, status)
    return {"at": time.time(), "nodes": [own, *others], "domains": status["domains"]}


def _node(client: NodeClient, status: Facts) -> Facts:
    newest = _newest(client.get("/history", TIMEOUT_S, window="1h"), status["at"])
    return {
        "name": status["node"],
        "url": client.base,
        "state": status["status"],
        "remark": "; ".join(_troubles(status)),
        **{name: _number(newest.get(name)) for name in FROM_HISTORY},
    }


def _number(value: object) -> float | None:
    """Return what a node says where it is a number: a peer may say anything."""
    return value if isinstance(value, int | float) else None


def _peer(client: NodeClient, peer: Facts) -> Facts:
    asked = client.of_peer(peer["url"])
    try:
        return _node(asked, asked.get("/node_status", TIMEOUT_S))
    except (CommandError, LookupError, TypeError) as error:
        unknown = dict.fromkeys(FROM_HISTORY)
        remark = f"{error}" if isinstance(error, CommandError) else "another release"
        return {
            "name": peer["name"], "url": peer["url"], "state": AWAY, "remark": remark,
            **unknown, "clone_backlog": peer["backlog"],
        }  # fmt: skip


def _newest(history: Facts, now: float) -> Facts:
    """Return the last row in which anything is known, unless it is old."""
    columns = history["columns"]
    for row in reversed(history["rows"]):
        if now - row[0] > LATELY_S:
            break
        if any(value is not None for value in row[1:]):
            return dict(zip(columns, row, strict=True))
    return {}


def _troubles(status: Facts) -> list[str]:
    """Return what is wrong with a node, in words."""
    parts = {name: status[name] for name in ("storage", "database")}
    parts |= {f"{pool} pool": state for pool, state in status["pools"].items()}
    found = [f"{name}: {state}" for name, state in parts.items() if state != OK]
    if status["prefetch_paused"]:
        found.append("prefetch is paused: the storage is full")
    return found
