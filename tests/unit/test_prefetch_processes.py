"""When the first download process calls for the others, and when these end."""

from __future__ import annotations

from typing import Any

from daemons.prefetch.extra import CALL_AGAIN_S, LONGEST_IDLE_S, Extra, First
from tests.clock import Clock


class Dispatcher:
    idle_s = 0.25
    worked, busy = False, False

    def step(self) -> bool:
        return self.worked

    def is_busy(self) -> bool:
        return self.busy

    def finish(self) -> None:
        pass


def test_the_first_calls_while_it_is_busy_but_not_all_the_time() -> None:
    clock, dispatcher, calls = Clock(1000.0), Dispatcher(), list[float]()
    given: Any = dispatcher
    first = First(given, lambda: calls.append(clock.now), clock)
    first.step()
    assert calls == []
    dispatcher.worked = dispatcher.busy = True
    for _ in range(3):
        assert first.step()
    assert len(calls) == 1
    clock.now += CALL_AGAIN_S + 0.1
    first.step()
    assert len(calls) == 2


def test_a_further_one_ends_when_there_was_nothing_to_do_for_a_while() -> None:
    clock, dispatcher, ends = Clock(1000.0), Dispatcher(), list[float]()
    given: Any = dispatcher
    extra = Extra(given, lambda: ends.append(clock.now), clock)
    dispatcher.worked = True
    clock.now += 10 * LONGEST_IDLE_S
    assert extra.step()
    dispatcher.worked = False
    clock.now += LONGEST_IDLE_S
    assert not extra.step()
    assert ends == []
    clock.now += 1
    extra.step()
    assert len(ends) == 1
