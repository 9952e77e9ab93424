"""GET /metrics: this node's state and traffic as Prometheus text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import falcon

from falcon_app.health import Ready
from image_cloud import traffic
from image_cloud.config.sections import Pools

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts by nginx's access log (the janitor adds them up) and the state of right now."""

    scope = "ops"

    def __init__(self, ready: Ready, storage: Path, run: Path, pools: Pools) -> None:
        """`ready` knows the state of storage and database; `run` holds counters and marks."""
        self._ready = ready
        self._storage = storage
        self._counters = run / "pools" / "traffic.json"
        self._decoding = run / "decoding"
        self._pools = pools

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with all metrics."""
        resp.text = "".join(f"{line}\n" for line in self._lines())
        resp.content_type = CONTENT_TYPE
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def _lines(self) -> Iterator[str]:
        seen = traffic.load(self._counters)
        yield from _metric(
            "responses_total", "counter", "Answers by status.", "status", seen.statuses
        )
        yield from _metric(
            "pictures_total", "counter", "Pictures by where they came from.", "cache", seen.caches
        )
        yield from _metric("sent_bytes_total", "counter", "Bytes sent.", "", {"": seen.bytes})
        up = {part: int(state == "ok") for part, state in self._ready.state().items()}
        yield from _metric("up", "gauge", "1 where the part works.", "part", up)
        running = {
            "fetch": _count(self._storage / "incoming"),
            "resize": _count(self._decoding),
        }
        yield from _metric("pool_running", "gauge", "Requests at work.", "pool", running)
        limits = {"fetch": self._pools.fetch_queue, "resize": self._pools.resize_queue}
        yield from _metric(
            "pool_limit", "gauge", "Most requests, waiting ones included.", "pool", limits
        )
        unrecorded = {"": _count(self._storage / "unrecorded")}
        yield from _metric(
            "unrecorded_originals",
            "gauge",
            "Originals that the database does not know.",
            "",
            unrecorded,
        )


def _metric(name: str, kind: str, help: str, label: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# HELP image_cloud_{name} {help}"
    yield f"# TYPE image_cloud_{name} {kind}"
    for key, value in sorted(values.items()):
        labels = f'{{{label}="{key}"}}' if label else ""
        yield f"image_cloud_{name}{labels} {value}"


def _count(folder: Path) -> int:
    try:
        return sum(not name.startswith(".") for name in os.listdir(folder))
    except OSError:
        return 0
