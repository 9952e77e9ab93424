"""Short answers: is this process up, can the node serve."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import falcon

from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable, StorageUnavailable
from image_cloud.storage.store import Store

VALID_S = 1.0
PATIENCE_S = 2.0


class Health:
    """GET /health."""

    scope = None

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer: whoever reads this has reached the process."""
        resp.media = {"status": "ok"}
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get


class Ready:
    """GET /ready: 200 `ok` or `degraded`; details for clients with the scope `ops`.

    Checks `store` and `database` at most once a second.
    """

    scope = None

    def __init__(self, node: str, store: Store, database: Database) -> None:
        self._node = node
        self._store = store
        self._database = database
        self._mutex = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "ready")
        self._check: Future[str] | None = None
        self._checked = float("-inf")
        self._state: dict[str, str] = {}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the state; a degraded node still serves, so it is a 200 too."""
        state = self.state()
        degraded = any(value != "ok" for value in state.values())
        answer: dict[str, Any] = {"status": "degraded" if degraded else "ok"}
        if "ops" in req.context.scopes:
            answer |= {"node": self._node, **state}
        resp.media = answer
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def state(self) -> dict[str, str]:
        """Return `ok` or what is wrong, for storage and database."""
        with self._mutex:
            if time.monotonic() - self._checked > VALID_S:
                self._state = {
                    "storage": _state_of(self._store.space.check_writable),
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
    return "ok"
