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
OK = "ok"


class Readiness:
    """Checks `space` and `database`, each at most once a second; for any number of threads."""

    def __init__(self, space: Space, database: Database) -> None:
        self._space = space
        self._database = database
        self._mutex = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "ready")
        self._check: Future[str] | None = None
        self._checked = float("-inf")
        self._state: dict[str, str] = {}

    def state(self) -> dict[str, str]:
        """Return `ok` or what is wrong, for storage and database."""
        with self._mutex:
            if time.monotonic() - self._checked > VALID_S:
                self._state = {
                    "storage": _state_of(self._space.check_writable),
                    "database": self._database_state(),
                }
                self._checked = time.monotonic()
            return self._state

    def _database_state(self) -> str:
        """Ask in a thread of its own: a server that is stopped, not gone, never answers."""
        check = self._check
        if check is None or check.done():
            check = self._check = self._thread.submit(_state_of, self._database.check)
        try:
            return check.result(PATIENCE_S)
        except TimeoutError:
            return "the database does not answer"


def _state_of(check: Callable[[], None]) -> str:
    try:
        check()
    except (StorageUnavailable, DatabaseUnavailable) as error:
        return error.detail
    return OK
