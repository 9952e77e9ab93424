"""The plan and the time of each query that a request, a step or a start waits for."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from typing import Any

from psycopg2.extensions import cursor as Cursor

from bench.hundred_million import rows
from image_cloud.db import catalog, feed
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import refreshing

TRIES = 20
_NODE = re.compile(
    r"((?:Parallel )?(?:Seq|Index|Index Only|Bitmap Heap|Tid Range) Scan)(?: using (\w+))?"
)


def queries() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return each query and values for it."""
    keys = [rows.record(number * 7919).key for number in range(1, 101)]
    old = {"before": 1.75e9 + 1000, "since": "-infinity", "key": "", "most": 500}
    return {
        "one picture": (catalog.FIND, {"keys": keys[:1]}),
        "100 pictures (a folder of the audit)": (catalog.FIND, {"keys": keys}),
        "500 rows by key (audit)": (catalog.AFTER, {"key": keys[0], "limit": 500}),
        "500 changes (feed)": (feed.READ, {"xid": "0", "change": 0, "limit": 500}),
        "what the feed holds back": (feed.HELD, {}),
        "500 old pictures (refresh)": (refreshing.OLD, old),
        "pictures that are gone at their origin": (catalog.COUNT_GONE, {"least": 3}),
        "about how many (`/node_status`, pages)": (catalog.ABOUT, {}),
    }


def measure(database: Database) -> Iterator[tuple[str, str, float]]:
    """Yield of each query its name, how it goes through `images`, and its median time in ms."""
    for name, (query, values) in queries().items():
        with database.transaction() as cursor:
            found = [_explain(cursor, query, values) for _ in range(TRIES)]
        yield name, found[-1][0], statistics.median(ms for _, ms in found)


def _explain(cursor: Cursor, query: str, values: dict[str, Any]) -> tuple[str, float]:
    cursor.execute("EXPLAIN (ANALYZE, COSTS OFF) " + query, values)
    lines = [line for (line,) in cursor.fetchall()]
    text = "\n".join(line for line in lines if "never executed" not in line)
    scans = {" ".join(filter(None, found)) for found in _NODE.findall(text)}
    time_ms = re.search(r"Execution Time: ([\d.]+) ms", text)
    assert time_ms
    return ", ".join(sorted(scans)), float(time_ms[1])
