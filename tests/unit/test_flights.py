"""Work whose rest comes behind its first result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from falcon_app.growing_threads import GrowingThreads
from image_cloud.errors import Busy
from image_cloud.fetch.flights import Flights
from image_cloud.picture.key import key_of
from tests.decoding import eventually

KEY = key_of("http://shop.example/a.jpg")
DEADLINE_S = 60.0
Names = set[str]


class Work:
    """Makes "first" at once, and "rest" as well once it `may_end`."""

    def __init__(self) -> None:
        self.count = 0
        self.may_end = threading.Event()

    def __call__(self) -> tuple[Names, Callable[[], Names] | None]:
        self.count += 1
        return {"first"}, self._rest

    def _rest(self) -> Names:
        assert self.may_end.wait(DEADLINE_S)
        return {"first", "rest"}


@pytest.fixture
def flights(tmp_path: Path) -> Flights[Names]:
    return Flights(tmp_path / "lock", DEADLINE_S)


@pytest.fixture
def work() -> Work:
    return Work()


class Asking(threading.Thread):
    """Asks for `name` in a thread of its own."""

    def __init__(self, flights: Flights[Names], work: Work, name: str) -> None:
        super().__init__(daemon=True)
        self.got: Names | None = None
        self.has_looked = threading.Event()
        self._flights, self._work, self._name = flights, work, name
        self.start()

    def run(self) -> None:
        self.got = self._flights.run_ahead(KEY, self._work, is_enough=self._is_enough)

    def _is_enough(self, made: Names) -> bool:
        self.has_looked.set()
        return self._name in made


def test_the_first_result_does_not_wait_for_the_rest(flights: Flights[Names], work: Work) -> None:
    threads = GrowingThreads(1)
    assert flights.run_ahead(KEY, work, start=threads.start) == {"first"}
    assert flights.run_ahead(KEY, work) == {"first"}
    late = Asking(flights, work, "rest")
    assert late.has_looked.wait(DEADLINE_S)
    with pytest.raises(Busy):
        flights.run_ahead(KEY, work, is_enough=lambda made: "rest" in made, patience_s=0.05)
    assert late.got is None, "it waits for the rest, which is on its way"
    work.may_end.set()
    late.join(DEADLINE_S)
    assert late.got == {"first", "rest"}
    assert work.count == 1
    threads.shutdown()


def test_the_key_stays_taken_between_processes_until_the_rest_is_done(
    flights: Flights[Names], work: Work, tmp_path: Path
) -> None:
    threads = GrowingThreads(1)
    other: Flights[Names] = Flights(tmp_path / "lock", DEADLINE_S)
    flights.run_ahead(KEY, work, start=threads.start)
    with pytest.raises(Busy):
        other.run_ahead(KEY, work, patience_s=0.05)
    assert other.run_ahead(KEY, work, look=lambda: {"found"}) == {"found"}
    work.may_end.set()
    assert other.run(KEY, lambda: {"taken"}) == {"taken"}
    assert work.count == 1
    threads.shutdown()


def test_a_rest_that_no_thread_takes_is_done_at_once(flights: Flights[Names], work: Work) -> None:
    work.may_end.set()
    assert flights.run_ahead(KEY, work) == {"first", "rest"}
    assert flights.run(KEY, lambda: {"again"}) == {"again"}


def test_a_rest_that_fails_costs_only_itself(flights: Flights[Names]) -> None:
    threads, fails = GrowingThreads(1), threading.Event()

    def rest() -> Names:
        assert fails.wait(DEADLINE_S)
        raise ZeroDivisionError

    flights.run_ahead(KEY, lambda: ({"first"}, rest), start=threads.start)
    late = Asking(flights, Work(), "rest")
    assert late.has_looked.wait(DEADLINE_S)
    fails.set()
    late.join(DEADLINE_S)
    assert late.got == {"first"}
    eventually(lambda: threads.idle() == 1)
    assert flights.run(KEY, lambda: {"again"}) == {"again"}
    threads.shutdown()
