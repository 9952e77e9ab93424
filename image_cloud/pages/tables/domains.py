"""Domains as the page shows them: those in trouble and until when, and the slowest of the last hour."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from image_cloud.history import visits
from image_cloud.pages.people import ago, count, share
from image_cloud.politeness.overview import Overview

MOST_TROUBLED, MOST_SLOW = 100, 20
LEAST_TIMED_S = 1.0
WORDS = {
    "paused": ("Paused by the shop", "warning"),
    "broken": ("Paused: it fails", "bad"),
    "half-open": ("Being tried", "warning"),
    "failing": ("Failing", "warning"),
}


@dataclasses.dataclass(frozen=True)
class TroubledRow:
    """A domain in trouble; `users` is when users' requests are let through, where that is earlier."""

    name: str
    words: str
    level: str
    since: str
    next_try: str
    users: str
    why: str
    code: str
    failures: str
    slots: str
    can_try: bool


@dataclasses.dataclass(frozen=True)
class SlowRow:
    """A domain of the last hour: how long its downloads took, and how many failed."""

    name: str
    p50: str
    p95: str
    visits: str
    errors: str
    error_share: float
    slots: str


class DomainTable:
    """Reads `overview` and the visits counted in `folder`; `clock` gives seconds since 1970."""

    def __init__(
        self, overview: Overview, folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._overview = overview
        self._folder = folder
        self._clock = clock

    def troubled(self) -> list[TroubledRow]:
        """Return the domains in trouble, those that are asked again last first."""
        now = self._clock()
        return [_troubled(one, now) for one in self._overview.all()[:MOST_TROUBLED]]

    def slowest(self) -> list[SlowRow]:
        """Return the domains whose downloads take longest."""
        found = visits.slowest(self._folder, self._clock(), MOST_SLOW)
        return [_slow(one, self._overview.one(one["domain"])["slots"]) for one in found]

    def resume(self, name: str) -> bool:
        """Lift a pause; say whether there was one.  Raises BadParameter."""
        return bool(self._overview.resume(name)["resumed"])


def _troubled(one: dict[str, Any], now: float) -> TroubledRow:
    words, level = WORDS[one["state"]]
    why = one["why"]
    return TroubledRow(
        name=one["domain"],
        words=words,
        level=level,
        since=f"{ago(now - _seconds(one['since']))} ago",
        next_try=_in(one["next_try"], now),
        users=_in(one["next_try_interactive"], now)
        if one["next_try_interactive"] != one["next_try"]
        else "",
        why=why["detail"],
        code=why["code"],
        failures=count(one["failures"]) if one["failures"] else "",
        slots=_slots(one["slots"]),
        can_try=one["next_try"] is not None,
    )


def _slow(one: dict[str, Any], slots: dict[str, int]) -> SlowRow:
    return SlowRow(
        name=one["domain"],
        p50=_took(one["p50_s"]),
        p95=_took(one["p95_s"]),
        visits=count(one["visits"]),
        errors=f"{count(one['errors'])} ({share(one['errors'] / one['visits'])})"
        if one["errors"]
        else "0",
        error_share=one["errors"] / one["visits"] if one["visits"] else 0.0,
        slots=_slots(slots),
    )


def _slots(slots: dict[str, int]) -> str:
    return f"{slots['used']} of {slots['allowed']}"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds:.1f} s" if seconds >= LEAST_TIMED_S else f"{seconds * 1000:.0f} ms"


def _in(moment: str | None, now: float) -> str:
    """Return when something is tried, empty where it is tried all the time."""
    if moment is None:
        return ""
    left = _seconds(moment) - now
    return f"in {ago(left)}" if left > 0 else "now"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
