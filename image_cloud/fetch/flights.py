"""One piece of work per key at a time, over all threads and processes of the node.

Inside a process the first thread works and the others wait for its result, errors included.
Between processes a lock (image_cloud/process/locks.py) at an offset made from the key keeps the second away.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

from image_cloud.errors import Busy, ImageCloudError
from image_cloud.process.locks import LockFile, locked

T = TypeVar("T")
RETRY_AFTER_S = 2


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.landed = threading.Event()
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
        """Return what `work` returns, from this call or from the one under way for `key`.

        `patience_s` is for this call alone; with 0 it raises Busy where another process works.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        with self._mutex:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if leads:
            return self._lead(key, flight, work, patience_s)
        return self._follow(flight, patience_s)

    def _lead(self, key: str, flight: _Flight[T], work: Callable[[], T], patience_s: float) -> T:
        try:
            with locked(self._lock_file, key, patience_s):
                flight.result = work()
            return flight.result
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._mutex:
                del self._flights[key]
            flight.landed.set()

    def _follow(self, flight: _Flight[T], patience_s: float) -> T:
        if not flight.landed.wait(patience_s):
            raise Busy("waited too long for the same picture", retry_after_s=RETRY_AFTER_S)
        if isinstance(flight.error, ImageCloudError):
            raise copy.copy(flight.error)
        if flight.error is not None:
            raise ImageCloudError() from flight.error
        return cast(T, flight.result)
