"""The parts that both the web side and the daemons are wired from."""

from __future__ import annotations

from pathlib import Path

from image_cloud.cache import Cache
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.disk import Store
from image_cloud.failures import Failures
from image_cloud.flights import Flights
from image_cloud.incoming import MemoryBudget
from image_cloud.origin import Origin
from image_cloud.recorder import Recorder

GRACE_S = 5.0


def open_storage(config: Config) -> tuple[Store, Failures]:
    """Return the node's pictures and its failure memory."""
    root = Path(config.storage.path)
    return Store(root, config.storage.min_free_bytes), Failures(root, config.failures)


def open_cache(config: Config) -> Cache:
    """Return the way of one original; starts the recorder's thread, so call it after forking."""
    store, failures = open_storage(config)
    recorder = Recorder(store, Database(config.database))
    recorder.start()
    lock_file = store.root / "incoming" / ".flights"
    return Cache(
        store=store,
        failures=failures,
        origin=Origin(config.download),
        flights=Flights(lock_file, config.download.total_timeout + GRACE_S),
        recorder=recorder,
        budget=MemoryBudget(config.storage.unstored_max_bytes),
        accepted=config.resize.formats,
    )
