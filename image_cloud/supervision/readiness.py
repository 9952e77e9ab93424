"""Whether this node can serve: is its storage written to, does its database answer?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable, StorageUnavailable
from image_cloud.storage.space import Space

VALID_S = 1.0
PATIENCE_S = 2.0
LATELY_S = 10.0
OK = "ok"


class Readiness:
    """Checks `space` and `database`, each at most once a second; for any number of threads."""

    def __init__(self, space: Space, database: Database) -> None:
        self._parts = {
            "storage": _Part("storage", space.check_writable),
            "database": _Part("database", database.check),
        }

    def state(self) -> dict[str, str]:
        """Return `ok` or what is wrong, for storage and database."""
        return {name: part.state() for name, part in self._parts.items()}


class _Part:
    """One check, in a thread of its own: a server that is stopped, not gone, never answers.

    Strangers may ask, so it holds up one of them at most, and nobody while it is known to be in trouble.
    """

    def __init__(self, name: str, check: Callable[[], None]) -> None:
        self._silent = f"the {name} does not answer"
        self._check = check
        self._thread = ThreadPoolExecutor(1, f"ready-{name}")
        self._mutex = threading.Lock()
        self._waiter = threading.Semaphore(1)
        self._running: Future[str] | None = None
        self._began = self._ended = float("-inf")
        self._last = OK

    def state(self) -> str:
        """Return `ok` or what is wrong: now, as far as that is known at once."""
        with self._mutex:
            self._begin()
            running, began, last = self._running, self._began, self._last
            is_in_trouble = last != OK and time.monotonic() - self._ended < LATELY_S
        if running is None:
            return last
        left_s = began + PATIENCE_S - time.monotonic()
        if left_s <= 0:
            return self._silent
        if is_in_trouble or not self._waiter.acquire(blocking=False):
            return last
        try:
            return running.result(left_s)
        except TimeoutError:
            return self._silent
        finally:
            self._waiter.release()

    def _begin(self) -> None:
        """Begin a check unless one is under way, or the last one still counts."""
        if self._running is None and time.monotonic() - self._ended > VALID_S:
            self._began = time.monotonic()
            self._running = self._thread.submit(self._look)

    def _look(self) -> str:
        try:
            self._check()
            found = OK
        except (StorageUnavailable, DatabaseUnavailable) as error:
            found = error.detail
        with self._mutex:
            self._running, self._ended, self._last = None, time.monotonic(), found
        return found
