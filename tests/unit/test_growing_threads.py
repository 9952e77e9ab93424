"""Threads for a pool: as many as there is to do, and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from falcon_app.growing_threads import GrowingThreads

DEADLINE_S = 60.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def names(threads: GrowingThreads, count: int) -> set[int]:
    """Return which threads do `count` jobs at once."""
    together = threading.Barrier(count)

    def job() -> int:
        together.wait(DEADLINE_S)
        return threading.get_ident()

    return {one.result(DEADLINE_S) for one in [threads.submit(job) for _ in range(count)]}


def test_every_job_that_waits_has_a_thread() -> None:
    threads = GrowingThreads(50)
    assert len(names(threads, 50)) == 50
    threads.shutdown()


def test_one_thread_does_jobs_that_come_one_after_the_other() -> None:
    threads, seen = GrowingThreads(50), set[int]()
    for _ in range(20):
        seen |= names(threads, 1)
        eventually(lambda: threads.idle() == 1)
    assert len(seen) == 1
    threads.shutdown()


def test_threads_without_a_job_end_and_come_again() -> None:
    before = threading.active_count()
    threads = GrowingThreads(50, keep_s=0.05)
    for _ in range(2):
        assert len(names(threads, 30)) == 30
        eventually(lambda: threading.active_count() <= before)
    assert threads.submit(lambda: 7).result(DEADLINE_S) == 7
    threads.shutdown()


def test_beyond_the_most_jobs_wait_for_a_thread() -> None:
    threads, gate = GrowingThreads(2), threading.Event()
    held = [threads.submit(gate.wait, DEADLINE_S) for _ in range(2)]
    later = [threads.submit(threading.get_ident) for _ in range(10)]
    assert not any(one.done() for one in later)
    gate.set()
    assert all(one.result(DEADLINE_S) for one in held)
    assert len({one.result(DEADLINE_S) for one in later}) <= 2
    threads.shutdown()


def test_an_error_is_the_caller_s() -> None:
    threads = GrowingThreads(1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(DEADLINE_S)
    assert threads.submit(lambda: 7).result(DEADLINE_S) == 7
    threads.shutdown()


def test_at_the_end_no_thread_stays() -> None:
    before = threading.active_count()
    threads = GrowingThreads(10, keep_s=600.0)
    names(threads, 10)
    threads.shutdown(wait=False)
    eventually(lambda: threading.active_count() <= before)


def test_a_job_that_no_thread_is_free_for_is_not_taken() -> None:
    threads, gate = GrowingThreads(2), threading.Event()

    def job() -> None:
        assert gate.wait(DEADLINE_S)

    assert [threads.start(job) for _ in range(3)] == [True, True, False]
    gate.set()
    eventually(lambda: threads.idle() == 2)
    assert threads.start(job)
    threads.shutdown()
    assert not threads.start(job)
