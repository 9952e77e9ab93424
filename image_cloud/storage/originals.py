"""Originals as they were received: `originals/ab/cd/<key>.<ext>`.

Whether one may be placed or must go is decided in `store.py`, under the placing lock.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from image_cloud.picture.key import KEY_PATTERN, fan_out
from image_cloud.picture.record import PRIVATE, Original, Record
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.storage.files import (
    has_bytes,
    has_stamp,
    stamp,
    sync,
    sync_file_system,
    unlink,
)
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.new_file import NewFile

USUAL_EXTENSION = "jpg"
FOLDERS = 65536
NAMES = [
    (f"{PRIVATE if is_private else ''}.{extension}", extension, is_private)
    for is_private in (False, True)
    for extension in EXTENSIONS.values()
]
"""How the name of an original may end behind its key, and what that says."""
SHARED_FROM = 4
"""So many files and folders one by one cost more than the whole file system at once."""


class Originals:
    """The originals below `root`, the storage folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> Original | None:
        """Return the original of `key`, None where it is not here; an empty file is none."""
        # Text, not Path: making one of those costs more than the look at the disk.
        folder = f"{self._root}/originals/{fan_out(key)}"
        if has_bytes(f"{folder}/{key}.{USUAL_EXTENSION}"):
            return Original(key, USUAL_EXTENSION)
        if os.access(folder, os.F_OK):
            for ending, extension, is_private in NAMES:
                path = f"{folder}/{key}{ending}"
                # Asked first, as an exception costs more than a look.
                if os.access(path, os.F_OK) and has_bytes(path):
                    return Original(key, extension, is_private)
        return None

    def path(self, original: Original) -> Path:
        """Return where the original lies, or would."""
        return self._root / original.relative

    def has_file(self, original: Original) -> bool:
        """Say whether its file is there, be it empty."""
        return os.path.exists(self.path(original))

    def version(self, original: Original) -> tuple[int, int] | None:
        """Return what changes when the file is replaced; None where it is gone."""
        try:
            status = os.stat(f"{self._root}/{original.relative}")
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size

    def placed_at(self, key: str) -> float:
        """Return when the original of `key` came here, seconds since 1970; 0 where there is none."""
        original = self.find(key)
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self.path(original)).st_ctime if original else 0.0
        return 0.0

    def in_folder(self, number: int) -> Iterator[Original]:
        """Yield the originals of folder `number` (below FOLDERS) by their keys, empty files too."""
        folder = f"{self._root}/originals/{number >> 8:02x}/{number & 255:02x}"
        extensions = set(EXTENSIONS.values())
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in sorted(os.listdir(folder)):
                stem, _, extension = name.rpartition(".")
                key = stem.removesuffix(PRIVATE)
                if KEY_PATTERN.fullmatch(key) and extension in extensions:
                    yield Original(key, extension, is_private=stem != key)

    def new_file(self) -> NewFile:
        """Return a file to write an original to.  Raises OSError."""
        return NewFile(f"{self._root}/incoming", PRIVATE_FILE)

    def place(self, file: NewFile, original: Original, record: Record) -> None:
        """Give `file` its name, the time of its store and its tag.  Raises OSError."""
        os.fchmod(file.descriptor, PRIVATE_FILE)
        self._stamp(file.descriptor, record)
        file.place(f"{self._root}/{original.relative}", PRIVATE_DIR)

    def restamp(self, original: Original, record: Record) -> None:
        """Give the file the time and tag of `record`, which is of the same bytes.  Raises OSError."""
        self._stamp(f"{self._root}/{original.relative}", record)

    def is_tagged(self, original: Original, record: Record) -> bool:
        """Say whether the file has the tag of `record`; those of earlier releases have another."""
        return has_stamp(f"{self._root}/{original.relative}", record.sha256)

    def sync(self, original: Original) -> None:
        """Make sure that file and name survive a crash of the machine; one that is gone is passed over."""
        path = f"{self._root}/{original.relative}"
        with contextlib.suppress(FileNotFoundError):
            sync(path)
            sync(os.path.dirname(path))

    def sync_all(self, keys: Sequence[str]) -> None:
        """Make sure that files and names of those that are here survive a crash of the machine.

        Several share the disk's work, where the file system can do that.  Raises OSError.
        """
        if len(keys) >= SHARED_FROM and sync_file_system(f"{self._root}/originals"):
            return
        for key in keys:
            if original := self.find(key):
                self.sync(original)

    def remove(self, key: str) -> None:
        """Remove every file of `key`: an empty or doubled one, too."""
        for original in _all_names(key):
            self.remove_file(original)

    def remove_file(self, original: Original) -> None:
        """Remove this file, if it is there."""
        unlink(f"{self._root}/{original.relative}")

    def quarantine(self, original: Original) -> Path:
        """Move a damaged original out of the way; return where it is kept."""
        target = self._root / "quarantine" / f"{original.stem}.{original.extension}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(original), target)
        return target

    def _stamp(self, file: int | str, record: Record) -> None:
        """Set Last-Modified and ETag: alike on every node, and never in the future (RFC 9110)."""
        stamp(file, min(record.stored_at, time.time()), record.sha256)


def _all_names(key: str) -> list[Original]:
    return [Original(key, extension, is_private) for _, extension, is_private in NAMES]
