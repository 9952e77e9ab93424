"""Tombstones on disk, so that every process knows deletes without the database.

    tombstones/ab/cd/<key>.json         {"key", "url", "deleted_at", "blocked"}
    unrecorded/<key>.deleted.json       the same, until the database knows

A picture whose store is older than its tombstone may not come back, however late it arrives.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

from image_cloud.errors import Blocked, DeletedMeanwhile
from image_cloud.picture.key import fan_out
from image_cloud.picture.record import LAST_TIME_S, Tombstone
from image_cloud.storage import notes
from image_cloud.storage.files import make_dir, unlink
from image_cloud.storage.folders import PRIVATE_DIR

LOOKED_AT = 10_000


class Tombstones:
    """The tombstones below `root`, the storage folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._walk: Iterator[Tombstone] | None = None
        self._aside = f"{root}/quarantine"

    def find(self, key: str) -> Tombstone | None:
        """Return the tombstone of `key`; an unreadable one is none, and so is one of an impossible time."""
        tombstone = notes.read(self._path(key), Tombstone)
        return tombstone if tombstone and tombstone.deleted_at <= LAST_TIME_S else None

    def check_blocked(self, key: str) -> None:
        """Raise Blocked where the URL of `key` is forbidden."""
        tombstone = self.find(key)
        if tombstone and tombstone.blocked:
            raise Blocked()

    def earliest(self, key: str) -> float:
        """Return when a store of `key` may be, at the earliest.  Raises Blocked."""
        return earliest_after(self.find(key))

    def check(self, key: str, stored_at: float) -> None:
        """Raise Blocked or DeletedMeanwhile where a picture of `stored_at` may not come back."""
        tombstone = self.find(key)
        if tombstone and tombstone.forbids(stored_at):
            raise Blocked() if tombstone.blocked else DeletedMeanwhile(retry_after_s=1.0)

    def write(self, tombstone: Tombstone) -> None:
        """Write the note for the database, and then the tombstone.  Raises OSError."""
        notes.write(self._note(tombstone.key), tombstone)
        target = self._path(tombstone.key)
        make_dir(os.path.dirname(target), PRIVATE_DIR)
        notes.write(target, tombstone)

    def all(self) -> Iterator[Tombstone]:
        """Yield every tombstone."""
        for path in (self._root / "tombstones").glob("??/??/*.json"):
            tombstone = notes.read(path, Tombstone)
            if tombstone:
                yield tombstone

    def unrecorded(self) -> Iterator[Tombstone]:
        """Yield the deletes that the database may not know."""
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._root / "unrecorded"):
                if entry.name.endswith(".deleted.json"):
                    tombstone = notes.read_or_set_aside(entry.path, Tombstone, self._aside)
                    if tombstone:
                        yield tombstone

    def settle(self, tombstone: Tombstone) -> None:
        """Remove the note of a delete: the database knows it.  A newer delete's note stays."""
        path = self._note(tombstone.key)
        if notes.read(path, Tombstone) == tombstone:
            unlink(path)

    def expire(self, before: float, most: int = LOOKED_AT) -> int:
        """Remove tombstones older than `before`, blocks excepted; return how many.

        A call looks at `most`, and the next one at those behind them: there may be millions.
        """
        self._walk = self._walk or self.all()
        seen = list(itertools.islice(self._walk, most))
        if len(seen) < most:
            self._walk = None
        old = [one for one in seen if one.deleted_at < before and not one.blocked]
        for one in old:
            unlink(self._path(one.key))
        return len(old)

    def _path(self, key: str) -> str:
        return f"{self._root}/tombstones/{fan_out(key)}/{key}.json"

    def _note(self, key: str) -> str:
        return f"{self._root}/unrecorded/{key}.deleted.json"


def earliest_after(tombstone: Tombstone | None) -> float:
    """Return when a store may be, at the earliest: a later second than its delete.

    Last-Modified and If-Modified-Since count in seconds.  Raises Blocked.
    """
    if tombstone is None:
        return 0.0
    if tombstone.blocked:
        raise Blocked()
    return math.floor(tombstone.deleted_at) + 1.0
