"""One piece of work per key at a time, over all threads and processes of the node.

Inside a process the first thread works and the others wait for its result, errors included.
Between processes a lock (image_cloud/process/locks.py) at an offset made from the key keeps the second away.
Work may have a rest that is done behind its result: the key stays taken until that is over, too.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

from image_cloud.errors import Busy, ImageCloudError
from image_cloud.process.locks import LockFile, lock_of

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_AFTER_S = 2
Start = Callable[[Callable[[], None]], bool]
"""Starts a job in another thread, and says whether it did."""


class _Flight(Generic[T]):
    """Work under way: `first` counts once it is `told`, `result` or `error` once it has `landed`."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.landed = threading.Event()
        self.first: T | None = None
        self.result: T | None = None
        self.error: BaseException | None = None


class Flights(Generic[T]):
    """Runs one function per key at a time; waiting longer than `patience_s` raises Busy.

    `lock_file` is created where it is missing; it stays empty.
    """

    def __init__(self, lock_file: Path | LockFile, patience_s: float) -> None:
        self._lock_file = lock_file
        self._patience_s = patience_s
        self._mutex = threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def run(self, key: str, work: Callable[[], T], patience_s: float | None = None) -> T:
        """Return what `work` returns, from this call or from the one under way for `key`, its rest included.

        `patience_s` is for this call alone; with 0 it raises Busy where another process works.
        """
        return self.run_ahead(
            key, lambda: (work(), None), is_enough=lambda _: False, patience_s=patience_s
        )

    def run_ahead(
        self,
        key: str,
        work: Callable[[], tuple[T, Callable[[], T] | None]],
        *,
        is_enough: Callable[[T], bool] = lambda _: True,
        look: Callable[[], T | None] = lambda: None,
        start: Start = lambda _: False,
        patience_s: float | None = None,
    ) -> T:
        """Return the first result of `work`; `start` then does its rest, whose result is for others.

        What cannot be started is done before, and its result returned.  Who comes meanwhile gets the first
        result if it `is_enough`, else that of the rest.  While another process works, `look` may find what
        is wanted.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        with self._mutex:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if leads:
            return self._lead(key, flight, work, look, start, patience_s)
        return self._follow(flight, is_enough, patience_s)

    def _lead(
        self,
        key: str,
        flight: _Flight[T],
        work: Callable[[], tuple[T, Callable[[], T] | None]],
        look: Callable[[], T | None],
        start: Start,
        patience_s: float,
    ) -> T:
        with contextlib.ExitStack() as landing:
            landing.callback(self._land, key, flight)
            try:
                found: list[T] = []
                landing.enter_context(
                    lock_of(self._lock_file, key, patience_s, lambda: _finds(look, found))
                )
                result, rest = (found[0], None) if found else work()
            except BaseException as error:
                flight.error = error
                raise
            flight.first = flight.result = result
            if rest is not None:
                flight.told.set()
                job = _behind(flight, rest, landing.pop_all())
                if not start(job):
                    job()
                    return _result(flight)
            return result

    def _land(self, key: str, flight: _Flight[T]) -> None:
        with self._mutex:
            del self._flights[key]
        flight.landed.set()
        flight.told.set()

    def _follow(self, flight: _Flight[T], is_enough: Callable[[T], bool], patience_s: float) -> T:
        deadline = time.monotonic() + patience_s
        is_told = flight.told.wait(patience_s)
        if is_told and not flight.landed.is_set() and is_enough(cast(T, flight.first)):
            return cast(T, flight.first)
        if not flight.landed.wait(max(deadline - time.monotonic(), 0.0)):
            raise Busy("waited too long for the same picture", retry_after_s=RETRY_AFTER_S)
        return _result(flight)


def _result(flight: _Flight[T]) -> T:
    """Return what came of a flight that has landed, or raise it."""
    if isinstance(flight.error, ImageCloudError):
        raise copy.copy(flight.error)
    if flight.error is not None:
        raise ImageCloudError() from flight.error
    return cast(T, flight.result)


def _finds(look: Callable[[], T | None], found: list[T]) -> bool:
    """Say whether `look` finds something, and keep it in `found`."""
    thing = look()
    if thing is not None:
        found.append(thing)
    return thing is not None


def _behind(
    flight: _Flight[T], rest: Callable[[], T], landing: contextlib.ExitStack
) -> Callable[[], None]:
    """Return what does the rest of a flight and lands it: a rest that fails costs only who waits for it."""
    context = contextvars.copy_context()  # what it logs carries the request's id

    def job() -> None:
        with landing:
            try:
                flight.result = context.run(rest)
            except ImageCloudError as error:
                flight.error = error
            except Exception:
                log.exception("event=rest_failed")

    return job
