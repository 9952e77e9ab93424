"""How long a worker pauses between its steps; the event that stops it is stood in for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from image_cloud.errors import DatabaseUnavailable
from image_cloud.process.steps import LONGEST_BACKOFF_S, LONGEST_OUTAGE_BACKOFF_S, repeat


class Stop(threading.Event):
    """Set after so many pauses, none of which takes any time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._count = count

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        if len(self.pauses) == self._count:
            self.set()
        return self.is_set()


class Worker:
    """Each step does what is next in the list: returns it, or raises it; the last for ever."""

    idle_s = 7.0

    def __init__(self, *does: Any) -> None:
        self._does = list(does)

    def step(self) -> bool:
        next_one = self._does.pop(0) if len(self._does) > 1 else self._does[0]
        if isinstance(next_one, Exception):
            raise next_one
        return bool(next_one)


def pauses(worker: Worker, count: int) -> list[float]:
    stop = Stop(count)
    repeat(worker, stop)
    return stop.pauses


def test_it_pauses_when_there_is_nothing_to_do() -> None:
    assert pauses(Worker(True, False, True, False), 4) == [0.0, 7.0, 0.0, 7.0]


def test_a_step_that_fails_is_tried_again_later_each_time(caplog: pytest.LogCaptureFixture) -> None:
    assert pauses(Worker(RuntimeError("x")), 7) == [
        1,
        2,
        4,
        8,
        16,
        LONGEST_BACKOFF_S,
        LONGEST_BACKOFF_S,
    ]
    assert caplog.text.count("event=step_failed") == 7
    assert "RuntimeError: x" in caplog.text


def test_a_database_that_is_away_is_asked_often(caplog: pytest.LogCaptureFixture) -> None:
    longest = LONGEST_OUTAGE_BACKOFF_S
    assert pauses(Worker(DatabaseUnavailable()), 5) == [1, 2, longest, longest, longest]
    assert "Traceback" not in caplog.text


def test_a_step_that_works_ends_the_backing_off() -> None:
    worker = Worker(RuntimeError("a"), RuntimeError("b"), True, RuntimeError("c"), False)
    assert pauses(worker, 5) == [1, 2, 0, 1, 7]


def test_the_mark_comes_before_each_step() -> None:
    marks: list[None] = []
    repeat(Worker(True), Stop(3), mark=lambda: marks.append(None))
    assert len(marks) == 3


def test_no_step_begins_after_the_stop() -> None:
    stop = threading.Event()
    stop.set()
    repeat(Worker(RuntimeError("not to be called")), stop)
