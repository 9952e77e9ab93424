"""A node as one card: its state in words, and the figures that an operator looks at first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from image_cloud.pages.nodes import NodeState
from image_cloud.pages.people import ago, count, share, size
from image_cloud.pages.problems import BAD, Problem, is_away
from image_cloud.pages.status import Status

GOOD, WARNING, AWAY = "good", "warning", "away"
UNKNOWN = "unknown"
WORDS = {GOOD: "Works", WARNING: "Works, needs a look", BAD: "Degraded", AWAY: "Does not answer"}


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
    age = f"as of {ago(state.age_s)} ago" if status and state.error else ""
    version = status.version if status else UNKNOWN
    figures = list(_figures(status)) if status else [Figure("Last seen", "never")]
    return Card(state.name, state.url, _level(state, problems), version, age, figures)


def _level(state: NodeState, problems: list[Problem]) -> str:
    if is_away(state):
        return AWAY
    if any(one.level == BAD for one in problems):
        return BAD
    return WARNING if problems else GOOD


def _figures(status: Status) -> Iterator[Figure]:
    disk = status.disk
    yield Figure("Up for", UNKNOWN if status.uptime_s is None else ago(status.uptime_s))
    yield Figure("Disk free", f"{size(disk.bytes_free)} of {size(disk.bytes)}", 1 - disk.share_free)
    hits = status.traffic.hit_share
    yield Figure("Hits", "none yet" if hits is None else share(hits), hits)
    yield Figure("Pictures", _known(status.pictures_about))
    yield Figure("To be cloned", _known(status.clone_backlog))
    yield Figure("To be fetched", _known(status.prefetch.urls if status.prefetch else None))


def _known(number: int | None) -> str:
    return UNKNOWN if number is None else count(number)
