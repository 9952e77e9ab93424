"""Records stored pictures in the database, outside the request.

The note `unrecorded/<key>.json` is on disk before the original appears.  The recorder's thread commits
the rows in batches and settles the notes; if the process or the database dies first, the note stays and
the janitor records it later with the same `commit_records`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from psycopg2.extensions import cursor as Cursor

from image_cloud.db import catalog, hashes
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from image_cloud.picture.dhash import Hash
from image_cloud.picture.record import Check, Record, Tombstone
from image_cloud.process.steps import repeat
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
MOST_WAITING = 10_000
LOOK_S = 5.0  # so often a recorder without work marks its heartbeat
Recorded = Record | Check | Hash
GATHER_S = 0.25
"""A batch waits so long for more: a transaction of its own for each picture costs as much as its download."""


def commit_records(
    store: Store,
    database: Database,
    records: Sequence[Record],
    write: Callable[[Cursor, Sequence[Record]], object] = catalog.upsert,
) -> None:
    """Commit the rows of `records`, which `write` writes, and remove their notes.

    No row says that a picture is here before that is sure to survive a crash of the machine.
    Raises DatabaseUnavailable, OSError.
    """
    store.originals.sync_all([one.key for one in records])
    with database.transaction() as cursor:
        write(cursor, records)
    for one in records:
        store.records.settle(one)


def commit_deletes(
    store: Store, database: Database, tombstones: Sequence[Tombstone], now: float
) -> None:
    """Commit the rows of deletes and remove their notes.  Raises DatabaseUnavailable."""
    with database.transaction() as cursor:
        catalog.bury(cursor, tombstones, now)
    for one in tombstones:
        store.tombstones.settle(one)


class Recorder:
    """Records what `add` hands it, a batch a step; a pool starts it after forking.

    Peers hear of a picture's checks once in `tell_every_s` at most.
    """

    idle_s = 0.0

    def __init__(self, store: Store, database: Database, tell_every_s: float = 60.0) -> None:
        self._store = store
        self._database = database
        self._tell_every_s = tell_every_s
        self._waiting: queue.SimpleQueue[Recorded | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=repeat, args=(self, self._stop), name="recorder", daemon=True
        )

    def start(self) -> None:
        """Work in a thread of its own, in a process without a runner (daemons/loop.py)."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Record what waits and end that thread."""
        self._stop.set()
        self.wake()
        self._thread.join(timeout_s)

    def add(self, record: Recorded) -> None:
        """Record soon; the note on disk makes sure of a store should this process not live."""
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(record)

    def step(self) -> bool:
        """Record what has come, if anything comes soon.

        Raises DatabaseUnavailable, OSError; then the janitor records it later.
        """
        first = self._next(LOOK_S)
        if first:
            time.sleep(GATHER_S)
            self._commit([first, *self._waiting_ones(MOST_AT_ONCE - 1)])
        return True

    def _commit(self, batch: Sequence[Recorded]) -> None:
        records = [one for one in batch if isinstance(one, Record)]
        found = [one for one in batch if isinstance(one, Check)]
        made = [one for one in batch if isinstance(one, Hash)]
        if records:
            commit_records(self._store, self._database, records)
        if found:
            with self._database.transaction() as cursor:
                catalog.record_checks(cursor, found, self._tell_every_s)
        if made:
            with self._database.transaction() as cursor:
                hashes.put(cursor, made)

    def wake(self) -> None:
        """End the wait for a record."""
        self._waiting.put(None)

    def finish(self) -> None:
        """Record what still waits, as far as that is possible now."""
        try:
            while batch := self._waiting_ones(MOST_AT_ONCE):
                self._commit(batch)
        except (DatabaseUnavailable, OSError) as error:
            log.warning("event=record_postponed error=%s", type(error).__name__)

    def _next(self, wait_s: float) -> Recorded | None:
        try:
            return self._waiting.get(timeout=wait_s)
        except queue.Empty:
            return None

    def _waiting_ones(self, most: int) -> list[Recorded]:
        """Return what waits now, all of it or `most`."""
        found: list[Recorded] = []
        while len(found) < most and not self._waiting.empty():
            record = self._waiting.get()
            if record:
                found.append(record)
        return found
