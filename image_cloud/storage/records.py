"""What the catalogue keeps of each original, as a file, so that it can be rebuilt from files alone.

A record begins as a note, `unrecorded/<key>.json`, which is on disk before its original appears.  Once its
row is committed it moves to `records/ab/cd/<key>.json`.  A crash at any point therefore loses no URL.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from image_cloud.picture.key import fan_out
from image_cloud.picture.record import Record
from image_cloud.storage import notes
from image_cloud.storage.files import modified, move, unlink
from image_cloud.storage.folders import PRIVATE_DIR
from image_cloud.storage.new_file import NewFile


class Records:
    """The records below `root`, the storage folder, and the notes of those whose rows may be missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = f"{root}/quarantine"

    def find(self, key: str) -> Record | None:
        """Return what is known of the original of `key`, be its row committed or not."""
        return notes.read(self._note(key), Record) or self.find_settled(key)

    def find_settled(self, key: str) -> Record | None:
        """Return what is known of it if its row is committed."""
        return notes.read(self._settled(key), Record)

    def is_unrecorded(self, key: str) -> bool:
        """Say whether the database may not know the original of `key` yet."""
        return os.path.exists(self._note(key))

    def unrecorded(self, before: float = math.inf) -> Iterator[tuple[float, Record]]:
        """Yield when a note was written and of which original, in the file system's order.

        Notes younger than `before` (seconds since 1970) are not even read.
        """
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._root / "unrecorded"):
                is_delete = entry.name.endswith(".deleted.json")
                if is_delete or not entry.name.endswith(".json"):
                    continue
                if (written := modified(entry)) <= before:
                    record = notes.read_or_set_aside(entry.path, Record, self._aside)
                    if record:
                        yield written, record

    def settled(self) -> Iterator[Record]:
        """Yield the records whose rows were committed."""
        for path in (self._root / "records").glob("??/??/*.json"):
            record = notes.read(path, Record)
            if record:
                yield record

    def draft(self, record: Record) -> NewFile:
        """Return the note of `record`, to be synced and given to `place`.  Raises OSError."""
        return notes.draft(self._note(record.key), record)

    def place(self, note: NewFile, key: str) -> None:
        """Give a note its name.  Raises OSError."""
        note.place(self._note(key), PRIVATE_DIR)

    def note(self, record: Record) -> None:
        """Write the note of an original that is here already.  Raises OSError."""
        notes.write(self._note(record.key), record)

    def amend(self, record: Record) -> None:
        """Write what is known of a store by now, where it stands.  Raises OSError."""
        is_noted = self.is_unrecorded(record.key)
        notes.write(self._note(record.key) if is_noted else self._settled(record.key), record)

    def settle(self, record: Record) -> None:
        """Move the note of `record` to the records: its row is committed."""
        noted = notes.read(self._note(record.key), Record)
        if noted is None or noted.version != record.version:
            return  # a newer store has come meanwhile
        with contextlib.suppress(OSError):
            move(self._note(record.key), self._settled(record.key), PRIVATE_DIR)

    def forget_note(self, key: str) -> None:
        """Remove the note of `key`: its original never came."""
        unlink(self._note(key))

    def remove(self, key: str) -> None:
        """Remove everything that is known of `key`."""
        self.forget_note(key)
        unlink(self._settled(key))

    def _note(self, key: str) -> str:
        return f"{self._root}/unrecorded/{key}.json"

    def _settled(self, key: str) -> str:
        return f"{self._root}/records/{fan_out(key)}/{key}.json"
