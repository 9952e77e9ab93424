"""What was deleted, on disk, so that every process decides without the database.

    tombstones/ab/cd/<key>.json         {"key", "url", "deleted_at", "blocked"}

A picture whose store is older than its tombstone may not come back, however late it arrives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from image_cloud.errors import Blocked, DeletedMeanwhile
from image_cloud.picture.key import fan_out
from image_cloud.picture.record import Tombstone
from image_cloud.storage.new_file import remove


class Tombstones:
    """The folder of tombstones of one storage.

    `root` is the storage folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> Tombstone | None:
        """Return the tombstone of `key`; an unreadable one is none."""
        return self._read(self.path(key))

    def check_blocked(self, key: str) -> None:
        """Raise Blocked where the URL of `key` is forbidden."""
        tombstone = self.find(key)
        if tombstone and tombstone.blocked:
            raise Blocked()

    def check(self, key: str, stored_at: float) -> None:
        """Raise Blocked or DeletedMeanwhile where a picture of `stored_at` may not come back."""
        tombstone = self.find(key)
        if tombstone and tombstone.forbids(stored_at):
            raise Blocked() if tombstone.blocked else DeletedMeanwhile(retry_after_s=1.0)

    def all(self) -> Iterator[Tombstone]:
        """Yield every tombstone."""
        for path in (self._root / "tombstones").glob("??/??/*.json"):
            tombstone = self._read(path)
            if tombstone:
                yield tombstone

    def expire(self, before: float) -> int:
        """Remove tombstones older than `before`, blocks excepted; return how many."""
        old = [one for one in self.all() if one.deleted_at < before and not one.blocked]
        for one in old:
            remove(self.path(one.key))
        return len(old)

    def path(self, key: str) -> str:
        """Return the file of `key`."""
        return f"{self._root}/tombstones/{fan_out(key)}/{key}.json"

    def _read(self, path: Path | str) -> Tombstone | None:
        try:
            with open(path, "rb", buffering=0) as file:
                return Tombstone(**json.loads(file.read()))
        except (OSError, ValueError, TypeError):
            return None
