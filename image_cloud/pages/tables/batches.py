"""Batches as the page Prefetch shows them: a bar, how long it will take, what failed, what can be done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from image_cloud.pages.people import ago, count

SHOWN = 20
LEAST_S = 5.0  # before that nobody knows how long it takes
WORDS = {
    "running": ("Running", "good"),
    "cancelling": ("Being cancelled", "warning"),
    "cancelled": ("Cancelled", "away"),
    "finished": ("Finished", "good"),
}
CALLBACKS = {
    "waiting": "told at the end",
    "trying": "being told",
    "delivered": "told",
    "given_up": "not told",
}


@dataclasses.dataclass(frozen=True)
class BatchRow:
    """One batch; `level` colours its state, `share` is how much of it is over, 0 to 1."""

    id: str
    client: str
    words: str
    level: str
    share: float
    counts: str
    left: str
    began: str
    took: str
    failures: list[tuple[str, str]]
    callback: str
    can_cancel: bool
    can_retry: bool
    priority: int


def rows(batches: Iterable[dict[str, Any]], now: float) -> list[BatchRow]:
    """Return a row for each batch (as `image_cloud.prefetch.shown` tells of it)."""
    return [row(one, now) for one in batches]


def row(one: dict[str, Any], now: float) -> BatchRow:
    """Return the row of one batch."""
    words, level = WORDS[one["state"]]
    if one["failed"] and one["state"] == "finished":
        words, level = "Finished with failures", "warning"
    over = one["total"] - one["waiting"]
    began = datetime.fromisoformat(one["created_at"]).timestamp()
    ended = one["finished_at"] and datetime.fromisoformat(one["finished_at"]).timestamp()
    return BatchRow(
        id=one["batch"],
        client=one["client"],
        words=words,
        level=level,
        share=over / one["total"] if one["total"] else 1.0,
        counts=_counts(one),
        left=_left(one, now - began),
        began=f"{ago(now - began)} ago",
        took=ago(ended - began) if ended else "",
        failures=[(code, count(times)) for code, times in _worst_first(one["failures"])],
        callback=_callback(one["callback"]),
        can_cancel=one["state"] == "running",
        can_retry=one["failed"] > 0,
        priority=one["priority"],
    )


def _counts(one: dict[str, Any]) -> str:
    """Return the counts as a line."""
    told = [f"{count(one['done'])} of {count(one['total'])} done"]
    told += [
        f"{count(one[name])} {name}" for name in ("waiting", "failed", "cancelled") if one[name]
    ]
    return ", ".join(told)


def _left(one: dict[str, Any], since_s: float) -> str:
    """Return how long the rest takes at the pace so far, empty where that is not known."""
    fetched = one["done"] + one["failed"] - one["already_cached"]
    if not one["waiting"] or fetched <= 0 or since_s < LEAST_S:
        return ""
    return f"about {ago(one['waiting'] * since_s / fetched)} left"


def _worst_first(failures: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(failures.items(), key=lambda pair: (-pair[1], pair[0]))


def _callback(callback: dict[str, Any] | None) -> str:
    if callback is None:
        return ""
    code = f" ({callback['code']})" if callback["code"] else ""
    return CALLBACKS[callback["state"]] + code
