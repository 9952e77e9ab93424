"""Evicts the least recently used variants, which can be made again: beyond a limit, and on a full disk.

A walk over all of them, a bounded piece at each step, adds up their bytes by the minute of their last
use.  What is too much then names a minute, and the next walk removes what was used before it.  A disk that
fills up in the middle of a walk, which may take hours, goes by what the walk before has found.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from image_cloud.metrics.definitions import (
    EVICTED,
    EVICTED_BYTES,
    VARIANTS,
    VARIANTS_BYTES,
    VARIANTS_LIMIT,
)
from image_cloud.storage.files import walk
from image_cloud.storage.local.variants import MADE_OF, remove_if_empty
from image_cloud.storage.space import NONE, Room, Space

log = logging.getLogger(__name__)

FILES_PER_STEP = 5000
EVICT_DOWN_TO = 0.95
BUCKET_S = 60
MOST_REMEMBERED = 200_000


class Eviction:
    """Keeps `variants/` below `max_bytes`, and smaller while `space` lacks room.

    `root` is the storage folder; `clock` gives seconds since 1970.  Use is the latest of atime, mtime and
    what was noted.  A step looks at `files_per_step` files; of what nginx sent, `most_remembered` are
    remembered.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        space: Space,
        clock: Callable[[], float] = time.time,
        *,
        files_per_step: int = FILES_PER_STEP,
        most_remembered: int = MOST_REMEMBERED,
    ) -> None:
        self._root = str(root)
        self._max_bytes = max_bytes
        self._space = space
        self._clock = clock
        self._files_per_step = files_per_step
        self._most_remembered = most_remembered
        self._walk = self._variants()
        self._used: dict[str, int] = {}
        self._by_use: dict[int, Room] = {}
        self._found_before: dict[int, Room] = {}
        self._before = 0  # bucket: what was used earlier goes, and part of this one
        self._to_free = NONE
        self._is_stuck = False

    def note_use(self, used: Iterable[str]) -> None:
        """Remember that nginx sent these variants just now; the kernel notes a use once a day."""
        bucket = int(self._clock()) // BUCKET_S
        for relative in used:
            self._used.pop(relative, None)  # to the end: the oldest stand first
            self._used[relative] = bucket
        for relative in list(
            itertools.islice(self._used, max(0, len(self._used) - self._most_remembered))
        ):
            del self._used[relative]

    def step(self) -> bool:
        """Look at a piece of the variants; say whether to go on at once, since there is too much."""
        self._is_stuck = False
        is_full = bool(self._space.lacking())
        if is_full and not self._to_free:
            self._choose(self._found_before)
        for number, (relative, path) in enumerate(self._walk):
            if not relative.endswith(f"/{MADE_OF}"):  # it goes with the last variant
                self._look_at(relative, path)
            if number + 1 >= self._files_per_step:
                break
        else:
            self._plan()
            self._walk = self._variants()
            is_full = is_full and bool(self._to_free)
        return (bool(self._to_free) or is_full) and not self._is_stuck

    def _look_at(self, relative: str, path: str) -> None:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return
        noted = self._used.get(f"variants/{relative}", 0)
        bucket = max(int(max(status.st_atime, status.st_mtime)) // BUCKET_S, noted)
        taken = Room(status.st_size, 1)
        if self._to_free and bucket <= self._before:
            self._remove(relative, path, taken)
            return
        self._by_use[bucket] = _sum(self._by_use.get(bucket, NONE), taken)

    def _remove(self, relative: str, path: str, taken: Room) -> None:
        try:
            os.unlink(path)
        except OSError:  # a read-only storage: going on at once would be in vain
            self._is_stuck = True
            return
        EVICTED.add()
        EVICTED_BYTES.add(by=taken.bytes)
        self._to_free = _sum(self._to_free, taken, -1)
        remove_if_empty(Path(f"{self._root}/variants/{relative}").parent)

    def _plan(self) -> None:
        """Decide after a whole walk what the next one removes."""
        total = functools.reduce(_sum, self._by_use.values(), NONE)
        VARIANTS.set(total.inodes)
        VARIANTS_BYTES.set(total.bytes)
        VARIANTS_LIMIT.set(self._max_bytes)
        self._choose(self._by_use)
        self._found_before, self._by_use = self._by_use, {}

    def _choose(self, by_use: Mapping[int, Room]) -> None:
        """Decide what goes, where there is too much: the bytes, and the minute up to which it was used."""
        total = functools.reduce(_sum, by_use.values(), NONE)
        self._to_free = self._too_much(total)
        found = NONE
        for bucket in sorted(by_use) if self._to_free else ():
            self._before = bucket
            found = _sum(found, by_use[bucket])
            if not _sum(self._to_free, found, -1):
                break
        if self._to_free:
            log.info("event=evicting bytes=%d total=%d", self._to_free.bytes, total.bytes)

    def _too_much(self, total: Room) -> Room:
        """Return what has to go, as far as it is there."""
        over = total.bytes - int(self._max_bytes * EVICT_DOWN_TO)
        over = over if total.bytes > self._max_bytes else 0
        lacking = self._space.lacking()
        return Room(min(max(over, lacking.bytes), total.bytes), min(lacking.inodes, total.inodes))

    def _variants(self) -> Iterator[tuple[str, str]]:
        """Yield all variants; no link is followed."""
        return walk(f"{self._root}/variants", depth=3)


def _sum(one: Room, other: Room, times: int = 1) -> Room:
    return Room(one.bytes + times * other.bytes, one.inodes + times * other.inodes)
