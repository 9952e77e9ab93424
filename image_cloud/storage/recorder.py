"""Records stored pictures in the database, outside the request.

The note `unrecorded/<key>.json` is on disk before the original appears.  The recorder's thread commits
the rows in batches and settles the notes; if the process or the database dies first, the note stays and
the janitor records it later with the same `record_notes`.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence

from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from image_cloud.picture.record import Record, Tombstone
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
MOST_WAITING = 10_000
PAUSE_AFTER_OUTAGE_S = 5.0
GATHER_S = 0.25
"""A batch waits so long for more: a transaction of its own for each picture costs as much as its download."""


def record_notes(store: Store, database: Database, records: Sequence[Record]) -> None:
    """Commit the rows of `records` and remove their notes.  Raises DatabaseUnavailable, OSError.

    No row says that a picture is here before that is sure to survive a crash of the machine.
    """
    for one in records:
        store.originals.sync(one.original)
    with database.transaction() as cursor:
        catalog.record(cursor, records)
    for one in records:
        store.records.settle(one)


def record_deletes(
    store: Store, database: Database, tombstones: Sequence[Tombstone], now: float
) -> None:
    """Commit the rows of deletes and remove their notes.  Raises DatabaseUnavailable."""
    with database.transaction() as cursor:
        catalog.bury(cursor, tombstones, now)
    for one in tombstones:
        store.tombstones.settle(one)


class Recorder:
    """A thread that records what `add` hands it; start it after the pool has forked."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._waiting: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, record: Record) -> None:
        """Record soon; the note on disk makes sure of it should this process not live."""
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(record)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Record what waits and end the thread."""
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set() or not self._waiting.empty():
            batch = self._next_batch()
            try:
                if batch:
                    record_notes(self._store, self._database, batch)
            except DatabaseUnavailable:
                log.warning("event=record_postponed records=%d", len(batch))
                self._stopping.wait(PAUSE_AFTER_OUTAGE_S)
            except Exception:
                log.exception("event=record_failed records=%d", len(batch))

    def _next_batch(self) -> list[Record]:
        batch = [self._waiting.get()]
        self._stopping.wait(GATHER_S)
        while len(batch) < MOST_AT_ONCE and not self._waiting.empty():
            batch.append(self._waiting.get())
        return [one for one in batch if one is not None]
