"""Whether this node can serve: is its storage written to, do its database and its pools answer?"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from image_cloud.db.connect import Database
from image_cloud.errors import Unavailable
from image_cloud.process.sockets import socket_path
from image_cloud.process.unix_get import answers
from image_cloud.storage.space import Space

VALID_S = 1.0
PATIENCE_S = 2.0
LATELY_S = 10.0
ANSWER_S = 1.0
OK, SILENT = "ok", "does not answer"


class Readiness:
    """Checks `space`, `database` and `pools`, each at most once a second; for any number of threads.

    A pool has a name and a check that raises Unavailable; so have `variants`, where they lie on a disk of
    their own.  Strangers may ask, so one of them at most waits
    for a check, and nobody while the part is known to be in trouble.
    """

    def __init__(
        self,
        space: Space,
        database: Database,
        pools: dict[str, Callable[[], None]] | None = None,
        variants: Callable[[], None] | None = None,
    ) -> None:
        waiter = threading.Semaphore(1)
        self._parts = {
            "storage": _Part(f"the storage {SILENT}", space.check_writable, waiter),
            "database": _Part(f"the database {SILENT}", database.check, waiter),
        }
        if variants:
            self._parts["variants"] = _Part(f"the disk {SILENT}", variants, waiter)
        self._pools = {name: _Part(SILENT, check, waiter) for name, check in (pools or {}).items()}

    def state(self) -> dict[str, str]:
        """Return `ok` or what is wrong, for storage and database, and for variants that are elsewhere."""
        return {name: part.state() for name, part in self._parts.items()}

    def pools(self) -> dict[str, str]:
        """Return `ok` or what is wrong, for each pool."""
        return {name: part.state() for name, part in self._pools.items()}


def pool_checks(run: str, pools: Iterable[str]) -> dict[str, Callable[[], None]]:
    """Return for each of `pools` what asks it for /health, through its socket below `run`."""
    return {pool: functools.partial(_check_pool, socket_path(run, pool)) for pool in pools}


def _check_pool(path: str) -> None:
    if not answers(path, ANSWER_S):
        raise Unavailable(SILENT)


class _Part:
    """One check, in a thread of its own: a server that is stopped, not gone, never answers."""

    def __init__(self, silent: str, check: Callable[[], None], waiter: threading.Semaphore) -> None:
        self._silent = silent
        self._check = check
        self._thread = ThreadPoolExecutor(1, "ready")
        self._mutex = threading.Lock()
        self._waiter = waiter
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
        except Unavailable as error:
            found = error.detail
        with self._mutex:
            self._running, self._ended, self._last = None, time.monotonic(), found
        return found
