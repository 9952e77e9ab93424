"""The clean-up daemon: records what the database missed, counts nginx's answers, evicts variants,
expires failures, sweeps left-overs.

Run it with `python -m daemons.janitor`.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemons.loop import main
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.disk import Store
from image_cloud.eviction import Eviction
from image_cloud.failures import Failures
from image_cloud.recorder import record_notes
from image_cloud.traffic import TrafficReader
from image_cloud.wiring import open_storage

log = logging.getLogger(__name__)

RECORD_AT_ONCE = 500
NOTE_AGE_S = 3.0  # younger notes are most likely on their way through a recorder
LEFT_OVER_AGE_S = 3600.0
SWEEP_EVERY_S = 600.0
LOCK_FILES = (".flights", ".slots")


class Janitor:
    """One round: replay notes, count, evict; now and then: expire failures, remove left-overs."""

    def __init__(
        self,
        store: Store,
        failures: Failures,
        database: Database,
        traffic: TrafficReader,
        eviction: Eviction,
        run_folder: Path,
        idle_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look after `store`; `clock` gives seconds since 1970."""
        self.idle_s = idle_s
        self._store = store
        self._failures = failures
        self._database = database
        self._traffic = traffic
        self._eviction = eviction
        self._run_folder = run_folder
        self._clock = clock
        self._next_sweep = 0.0

    def step(self) -> bool:
        """Do one round; say whether more is waiting than one round takes."""
        if self._clock() >= self._next_sweep:
            self._next_sweep = self._clock() + SWEEP_EVERY_S
            self._sweep()
        self._eviction.note_use(self._traffic.read())
        evicts = self._eviction.step()
        return self._record() or evicts

    def _record(self) -> bool:
        old = self._clock() - NOTE_AGE_S
        notes = itertools.islice(self._store.unrecorded(), RECORD_AT_ONCE)
        batch = [record for path, record in notes if record.stored_at <= old]
        kept = [record for record in batch if self._store.original(record.key)]
        for record in batch:
            if record not in kept and record.stored_at < self._clock() - LEFT_OVER_AGE_S:
                self._store.forget_note(record.key)  # its process died before the original came
        if kept:
            record_notes(self._store, self._database, kept)
            log.info("event=recorded records=%d", len(kept))
        return len(batch) == RECORD_AT_ONCE

    def _sweep(self) -> None:
        before = self._clock() - LEFT_OVER_AGE_S
        folders = (
            self._store.root / "incoming",
            self._store.root / "variants" / ".incoming",
            self._run_folder / "decoding",
        )
        for path in itertools.chain.from_iterable(_files(folder) for folder in folders):
            if _modified(path) < before and path.name not in LOCK_FILES:
                path.unlink(missing_ok=True)
        for path in (self._store.root / "failures").glob("??/??/*.json"):
            self._failures.expire(path)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def create(config: Config) -> Janitor:
    """Wire the janitor of this node."""
    store, failures = open_storage(config)
    database = Database(config.database)
    run_folder = Path(config.node.run)
    traffic = TrafficReader(Path(config.node.access_log), run_folder / "pools" / "traffic.json")
    eviction = Eviction(store.root, config.storage.variants_max_bytes)
    return Janitor(
        store, failures, database, traffic, eviction, run_folder, config.janitor.interval
    )


if __name__ == "__main__":
    main("image-cloud-janitor", create)
