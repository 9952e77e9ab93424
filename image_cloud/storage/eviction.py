"""Evicts the least recently used variants beyond a limit; they can be made again.

A walk over all of them, a bounded piece at each step, adds up their bytes by the minute of their last
use.  What is too much then names a minute, and the next walk removes what was used before it.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FILES_PER_STEP = 5000
EVICT_DOWN_TO = 0.95
BUCKET_S = 60
MOST_REMEMBERED = 200_000


class Eviction:
    """Keeps `variants/` below `max_bytes`; use is the latest of atime, mtime and what was noted.

    `root` is the storage folder; `clock` gives seconds since 1970.  A step looks at `files_per_step`
    files; of what nginx sent, `most_remembered` are remembered.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
        *,
        files_per_step: int = FILES_PER_STEP,
        most_remembered: int = MOST_REMEMBERED,
    ) -> None:
        self._root = str(root)
        self._max_bytes = max_bytes
        self._clock = clock
        self._files_per_step = files_per_step
        self._most_remembered = most_remembered
        self._walk = self._variants()
        self._used: dict[str, int] = {}
        self._by_use: collections.Counter[int] = collections.Counter()
        self._before = 0  # bucket: what was used earlier goes, and part of this one
        self._to_free = 0

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
        """Look at a piece of the variants; say whether there is something to evict."""
        for number, path in enumerate(self._walk):
            self._look_at(path)
            if number + 1 >= self._files_per_step:
                break
        else:
            self._plan()
            self._walk = self._variants()
        return self._to_free > 0

    def _look_at(self, path: str) -> None:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return
        noted = self._used.get(path[len(self._root) + 1 :], 0)
        bucket = max(int(max(status.st_atime, status.st_mtime)) // BUCKET_S, noted)
        if self._to_free > 0 and bucket <= self._before:
            with contextlib.suppress(OSError):
                os.unlink(path)
                self._to_free -= status.st_size
                os.rmdir(os.path.dirname(path))  # goes where nothing else is in it
            return
        self._by_use[bucket] += status.st_size

    def _plan(self) -> None:
        """Decide after a whole walk what the next one removes."""
        total = sum(self._by_use.values())
        self._to_free = 0
        if total > self._max_bytes:
            self._to_free = total - int(self._max_bytes * EVICT_DOWN_TO)
            found = 0
            for bucket in sorted(self._by_use):
                self._before = bucket
                found += self._by_use[bucket]
                if found >= self._to_free:
                    break
            log.info("event=evicting bytes=%d total=%d", self._to_free, total)
        self._by_use.clear()

    def _variants(self) -> Iterator[str]:
        """Yield the paths of all variants; folders that go meanwhile are no matter."""
        for first in _entries(f"{self._root}/variants"):
            for second in _entries(first):
                for folder in _entries(second):
                    yield from _entries(folder)


def _entries(folder: str) -> list[str]:
    """Return what is in a folder, hidden entries aside."""
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder) if name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
