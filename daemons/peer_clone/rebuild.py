"""Rebuilds the catalogue from the files: after the database was restored from a backup, or lost."""

from __future__ import annotations

import itertools
import logging

from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.epoch import FeedGuard
from image_cloud.db.connect import Database
from image_cloud.process.steps import GoOn
from image_cloud.storage.recorder import commit_deletes, commit_records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 500
EVERY_S = 1.0


class Rebuild:
    """Watches for a replaced database; one step looks, and rebuilds where it must.

    `guard` tells whether the database was replaced.
    """

    idle_s = EVERY_S

    def __init__(
        self,
        store: Store,
        database: Database,
        guard: FeedGuard,
        clock: ClusterClock,
        go_on: GoOn,
    ) -> None:
        self._store = store
        self._database = database
        self._guard = guard
        self._clock = clock
        self._go_on = go_on

    def step(self) -> bool:
        """Look once; rebuild if needed."""
        self._guard.step(self._go_on)
        if self._guard.needs_rebuild() and self._rebuild():
            self._guard.rebuilt()
        return False

    def _rebuild(self) -> bool:
        """Tell the database of every tombstone and every recorded original on disk; say whether all are told.

        One that is broken off begins anew with the next process.
        """
        deletes = pictures = 0
        tombstones = self._store.tombstones.all()
        while self._go_on() and (batch := list(itertools.islice(tombstones, AT_ONCE))):
            commit_deletes(self._store, self._database, batch, self._clock.now())
            deletes += len(batch)
        records = (
            one for one in self._store.records.settled() if self._store.originals.find(one.key)
        )
        while self._go_on() and (found := list(itertools.islice(records, AT_ONCE))):
            commit_records(self._store, self._database, found)
            pictures += len(found)
        if not self._go_on():
            return False
        log.info("event=catalogue_rebuilt pictures=%d deletes=%d", pictures, deletes)
        return True
