"""What takes as long as it is told to: the walks that leave the disk to users."""

from __future__ import annotations

from collections.abc import Iterator

from bench.hundred_million.disk import ORIGINAL_BYTES, VARIANTS
from bench.hundred_million.measured import Measured
from daemons.janitor import audit, eviction, janitor
from image_cloud.config.sections import Janitor
from image_cloud.storage import tombstones

DELETED = 0.01


def paced() -> Iterator[Measured]:
    """Yield how long each walk takes for one picture with the default settings."""
    settings = Janitor()
    walks = {
        "audit: reading all files, at audit_bytes_per_second": ORIGINAL_BYTES
        / settings.audit_bytes_per_second,
        "audit: is each row's file there, 500 rows a second": 1 / audit.ROWS_AT_ONCE,
        "eviction: one walk, 5,000 files a round, on a disk with room": settings.interval
        * VARIANTS
        / eviction.FILES_PER_STEP,
        "forgetting deletes: one walk over the files of 1 %": janitor.SWEEP_EVERY_S
        * DELETED
        / tombstones.LOOKED_AT,
    }
    for what, seconds in walks.items():
        yield Measured(what, seconds, "s", 1)
