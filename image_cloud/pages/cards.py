"""A node as one card: its state in words, and the figures that an operator looks at first."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator

from image_cloud.pages.nodes import NodeState
from image_cloud.pages.people import ago, count, share, size
from image_cloud.pages.problems import BAD, Problem, is_away
from image_cloud.pages.status import Lately, Status

GOOD, WARNING, AWAY, STARTING = "good", "warning", "away", "starting"
UNKNOWN = "unknown"
NEW_S = 3.0
DAYS_A_YEAR = 365
WORDS = {
    GOOD: "Works",
    WARNING: "Works, needs a look",
    BAD: "Degraded",
    AWAY: "Does not answer",
    STARTING: "Asked, no answer yet",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of a card; `share` draws a bar, 0 to 1."""

    label: str
    value: str
    share: float | None = None


@dataclasses.dataclass(frozen=True)
class Card:
    """One node; `level` is one of WORDS, `age` says how old the figures are where they are not new."""

    name: str
    url: str
    level: str
    version: str
    age: str
    figures: list[Figure]

    @property
    def words(self) -> str:
        """Return the state in words."""
        return WORDS[self.level]


def cards(states: Iterable[NodeState], problems: list[Problem]) -> list[Card]:
    """Return a card for each node."""
    return [_card(state, [one for one in problems if one.node == state.name]) for state in states]


def _card(state: NodeState, problems: list[Problem]) -> Card:
    status = state.status
    age = "" if status is None or _is_new(state) else f"as of {ago(state.age_s)} ago"
    version = status.version if status else UNKNOWN
    figures = [Figure("Last seen", _seen(state)), *(_figures(status) if status else ())]
    return Card(state.name, state.url, _level(state, problems), version, age, figures)


def _is_new(state: NodeState) -> bool:
    return state.status is not None and not state.error and state.age_s < NEW_S


def _seen(state: NodeState) -> str:
    if _is_new(state):
        return "now"
    return "never" if state.last_seen is None else f"{ago(time.time() - state.last_seen)} ago"


def _level(state: NodeState, problems: list[Problem]) -> str:
    if is_away(state):
        return AWAY
    if state.status is None:
        return STARTING
    if any(one.level == BAD for one in problems):
        return BAD
    return WARNING if problems else GOOD


def _figures(status: Status) -> Iterator[Figure]:
    disk, now = status.disk, status.lately or Lately()
    yield Figure("Up for", UNKNOWN if status.uptime_s is None else ago(status.uptime_s))
    yield Figure("Requests", f"{now.requests_per_s:,.1f}/s" if status.lately else UNKNOWN)
    hits = status.traffic.hit_share if now.hit_share is None else now.hit_share
    yield Figure("Hit rate", "none asked for yet" if hits is None else share(hits), hits)
    yield Figure("Disk free", f"{size(disk.bytes_free)} of {size(disk.bytes)}", 1 - disk.share_free)
    yield Figure("Disk full in", _days(now.disk_days_left) if status.lately else UNKNOWN)
    yield Figure("Pictures", _known(status.pictures_about))
    yield Figure("Clone backlog", _known(status.clone_backlog))
    yield Figure("Prefetch queue", _known(status.prefetch.urls if status.prefetch else None))


def _days(days: float | None) -> str:
    if days is None:
        return "not filling up"
    return "over a year" if days > DAYS_A_YEAR else f"{max(days, 0):,.0f} days"


def _known(number: int | None) -> str:
    return UNKNOWN if number is None else count(number)
