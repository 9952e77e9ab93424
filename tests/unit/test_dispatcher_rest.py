"""The dispatcher's rest: outcomes that come one after the other share a transaction."""

from __future__ import annotations

import collections
from typing import Any, cast

import pytest

from daemons.prefetch.dispatcher import ENOUGH, LONGEST_REST_S, REST, Dispatcher


class Everything:
    """All that a dispatcher works with: a URL is done each hundredth of a second, and one is begun."""

    def __init__(self, database_s: float, under_way: int) -> None:
        self.now = 0.0
        self.under_way = collections.Counter({"shop.example": under_way} if under_way else {})
        self.gathered = 0
        self._database_s = database_s

    def dispatcher(self) -> Dispatcher:
        own = cast(Any, self)
        return Dispatcher(own, own, own, own, own, own, idle_s=0.25, clock=lambda: self.now)

    def settled(self, wait_s: float) -> list[tuple[Any, Any]]:
        self.now += min(wait_s, 0.01)
        return [(self, self)] if wait_s else []

    def begin(self) -> int:
        self.now += self._database_s
        return 1

    def add(self, _outcome: object) -> None:
        self.gathered += 1

    def slot_is_free(self, _domain: str) -> None: ...
    def learn(self, _outcome: object) -> None: ...
    def write_down(self) -> None: ...
    def step(self) -> None: ...
    def is_over(self) -> bool:
        return True

    def free(self) -> int:
        return 1

    domain = "shop.example"


@pytest.mark.parametrize(
    ("database_s", "rest_s"), [(0.02, REST * 0.02), (1.0, LONGEST_REST_S), (0.0, 0.0)]
)
def test_outcomes_share_a_transaction_that_takes_long(database_s: float, rest_s: float) -> None:
    everything = Everything(database_s, under_way=1000)
    assert everything.dispatcher().step()
    assert everything.gathered == pytest.approx(rest_s / 0.01, abs=1)
    assert everything.now == pytest.approx(database_s + rest_s, abs=0.001)


def test_slots_do_not_wait_for_outcomes_that_are_enough() -> None:
    everything = Everything(1.0, under_way=10 * ENOUGH)
    everything.dispatcher().step()
    assert everything.gathered == 10


def test_without_anything_under_way_there_is_no_rest() -> None:
    everything = Everything(0.02, under_way=0)
    everything.dispatcher().step()
    assert everything.now == pytest.approx(0.02)
