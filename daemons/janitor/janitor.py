"""The clean-up daemon: records what the database missed, evicts variants, expires failures, sweeps
left-overs.

Run it with `python -m daemons.janitor`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemons.janitor.audit import Audit
from daemons.janitor.eviction import Eviction
from daemons.loop import Runner
from image_cloud.cluster.clock import ClusterClock
from image_cloud.db import whole_catalog
from image_cloud.db.connect import Database
from image_cloud.fetch.unstored import Unstored
from image_cloud.history.uses import Uses
from image_cloud.metrics import client
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.node import Node
from image_cloud.process import json_file
from image_cloud.process.steps import GoOn
from image_cloud.storage.failures import Failures
from image_cloud.storage.files import modified
from image_cloud.storage.recorder import commit_deletes, commit_records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

RECORD_AT_ONCE, FORGET_AT_ONCE = 500, 5000
NOTE_AGE_S = 3.0  # younger notes are most likely on their way through a recorder
LEFT_OVER_AGE_S = 3600.0
SWEEP_EVERY_S = 600.0
DAY_S = 86400.0
LOCK_FILES = (".flights", ".slots", ".decoding")
NICENESS = 10  # requests come first


class Janitor:
    """One round: replay notes, evict; now and then: expire failures, remove left-overs.

    `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        unstored: Unstored,
        database: Database,
        uses: Uses,
        eviction: Eviction,
        idle_s: float,
        cluster_clock: ClusterClock,
        tombstones_keep_s: float,
        go_on: GoOn,
        metrics: ProcessFiles,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self.idle_s = idle_s
        self._store = store
        self._failures = failures
        self._unstored = unstored
        self._database = database
        self._uses = uses
        self._eviction = eviction
        self._cluster_clock = cluster_clock
        self._tombstones_keep_s = tombstones_keep_s
        self._go_on = go_on
        self._clock = clock
        self._next_sweep = 0.0

    def step(self) -> bool:
        """Do one round; say whether more is waiting than one round takes."""
        if self._clock() >= self._next_sweep:
            self._next_sweep = self._clock() + SWEEP_EVERY_S
            self._sweep()
            self._forget_tombstones()
        self._note_uses()
        evicts = self._eviction.step()
        self._metrics.merge_ended()
        self._commit_deletes()
        return self._commit_records() or evicts

    def _note_uses(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: what is left says it again
            self._eviction.note_use(self._uses.take())

    def _commit_deletes(self) -> None:
        """Tell the database of deletes that it missed."""
        batch = list(itertools.islice(self._store.tombstones.unrecorded(), RECORD_AT_ONCE))
        for tombstone in batch:  # its process may have died between the note and the rest
            self._store.bury(tombstone, self._cluster_clock.now())
        if batch:
            commit_deletes(self._store, self._database, batch, self._cluster_clock.now())
            log.info("event=recorded deletes=%d", len(batch))

    def _forget_tombstones(self) -> None:
        before = self._cluster_clock.now() - self._tombstones_keep_s
        forgotten, found = 0, FORGET_AT_ONCE
        while found == FORGET_AT_ONCE and self._go_on():
            with self._database.transaction() as cursor:
                found = whole_catalog.forget_tombstones(cursor, before, FORGET_AT_ONCE)
            forgotten += found
        forgotten = max(forgotten, self._store.tombstones.expire(before))
        if forgotten:
            log.info("event=tombstones_forgotten count=%d", forgotten)

    def _commit_records(self) -> bool:
        old = self._clock() - NOTE_AGE_S
        # Their own time may be that of a peer's store: the file's says when it was written here.
        batch = list(itertools.islice(self._store.records.unrecorded(old), RECORD_AT_ONCE))
        kept = [record for _, record in batch if self._store.originals.find(record.key)]
        for written, record in batch:
            if record not in kept and written < self._clock() - LEFT_OVER_AGE_S:
                self._store.records.forget_note(
                    record.key
                )  # its process died before the original came
        if kept:
            commit_records(self._store, self._database, kept)
            log.info("event=recorded records=%d", len(kept))
        return len(batch) == RECORD_AT_ONCE

    def _sweep(self) -> None:
        before = self._clock() - LEFT_OVER_AGE_S
        for path in itertools.takewhile(lambda _: self._go_on(), self._left_overs()):
            if modified(path) < before:
                path.unlink(missing_ok=True)
        self._store.variants.clear_away()
        self._failures.expire(self._go_on)
        self._unstored.expire()

    def _left_overs(self) -> Iterator[Path]:
        """Yield what is left over if it is old."""
        for root in {self._store.root, self._store.local}:
            yield from (path for path in _files(root / "incoming") if path.name not in LOCK_FILES)
            for name in ("cluster", "domains"):
                files = _files(root / name)
                yield from (path for path in files if json_file.is_temporary(path.name))
        yield from _files(self._store.local / "variants" / ".incoming")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


def create(node: Node, runner: Runner) -> Janitor:
    """Wire the janitor of this node.  The audit has a thread of its own: it may wait long for an origin."""
    os.nice(NICENESS)
    config = node.config
    audit = Audit(
        node.auditor,
        node.audit_state,
        node.audit_lock,
        config.janitor.audit_bytes_per_second,
        config.janitor.audit_pause,
        runner.go_on,
    )
    runner.start_last("recorder", node.recorder)
    runner.start("audit", audit)
    return Janitor(
        node.store,
        node.failures,
        node.unstored,
        node.database,
        Uses(node.run / "pools" / "uses"),
        Eviction(node.local, config.storage.variants_max_bytes, node.store.variants_space),
        config.janitor.interval,
        node.clock,
        config.cluster.tombstone_days * DAY_S,
        runner.go_on,
        ProcessFiles(client.folder_of(node.run)),
    )
