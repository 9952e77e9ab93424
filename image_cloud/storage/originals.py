"""Originals as they were received: `originals/ab/cd/<key>.<ext>`.

Whether one may be placed or must go is decided in `store.py`, under the placing lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from image_cloud.picture.key import KEY_PATTERN, fan_out
from image_cloud.picture.record import PRIVATE, Original, Record
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.storage.files import (
    Version,
    copy_bytes,
    has_bytes,
    has_stamp,
    pieces_of,
    sha256_of,
    stamp,
    sync,
    sync_file_system,
    unlink,
    version_of,
)
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.guard.calls import together
from image_cloud.storage.guard.pulse import require_mounted
from image_cloud.storage.new_file import NewFile
from image_cloud.storage.records import Records

USUAL_EXTENSION = "jpg"
FOLDERS = 65536
TWO_DIGITS = re.compile(r"[0-9a-f]{2}")
NAMES = [
    (f"{PRIVATE if is_private else ''}.{extension}", extension, is_private)
    for is_private in (False, True)
    for extension in EXTENSIONS.values()
]
"""How the name of an original may end behind its key, and what that says."""
SHARED_FROM = 4
"""So many files and folders one by one cost more than the whole file system at once."""


class Originals:
    """The originals below `root`, the storage folder.

    With `local`, a disk that answers, they are far away.  New ones come to that disk first; what is opened is
    read into memory, so that nobody waits for the network who does not know how; and `records` say what
    is here, as each look costs a trip.
    """

    def __init__(
        self, root: Path, local: Path | None = None, records: Records | None = None
    ) -> None:
        self._root = root
        self._local = local or root
        self._records = records

    @property
    def is_far(self) -> bool:
        """Whether each look costs a trip."""
        return self._records is not None

    def find(self, key: str) -> Original | None:
        """Return the original of `key`, None where it is not here; an empty file is none."""
        # Text, not Path: making one of those costs more than the look at the disk.
        folder = f"{self._root}/originals/{fan_out(key)}"
        if has_bytes(f"{folder}/{key}.{USUAL_EXTENSION}"):
            return Original(key, USUAL_EXTENSION)
        if self._records:
            return self._find_recorded(key, self._records)
        if os.access(folder, os.F_OK):
            for ending, extension, is_private in NAMES:
                path = f"{folder}/{key}{ending}"
                # Asked first, as an exception costs more than a look.
                if os.access(path, os.F_OK) and has_bytes(path):
                    return Original(key, extension, is_private)
        return None

    def find_new(self, key: str) -> Original | None:
        """Do the same for one that is hardly here: far away, all looks at the same time."""
        if self._records is None:
            return self.find(key)
        usual = f"{self._root}/originals/{fan_out(key)}/{key}.{USUAL_EXTENSION}"
        records = self._records
        is_here, record, _ = together(
            lambda: has_bytes(usual),
            lambda: records.find(key),
            lambda: require_mounted(self._root),
        )
        return Original(key, USUAL_EXTENSION) if is_here else self._of(record)

    def glance(self, key: str) -> Original | None:
        """Do the same in one or two trips: None may also mean that one has to look again, by `find`."""
        if self._records is None:
            return self.find(key)
        if has_bytes(f"{self._root}/originals/{fan_out(key)}/{key}.{USUAL_EXTENSION}"):
            return Original(key, USUAL_EXTENSION)
        return self._of(self._records.find_settled(key))

    def _find_recorded(self, key: str, records: Records) -> Original | None:
        if (record := records.find(key)) is None:
            require_mounted(self._root)
        return self._of(record)

    def _of(self, record: Record | None) -> Original | None:
        """Return the original that a record tells of, if it is here."""
        if record is None:
            return None
        for is_private in (False, True):
            original = record.original(is_private=is_private)
            if has_bytes(f"{self._root}/{original.relative}"):
                return original
        return None

    def path(self, original: Original) -> Path:
        """Return where the original lies, or would."""
        return self._root / original.relative

    def has_file(self, original: Original) -> bool:
        """Say whether its file is there, be it empty."""
        return os.path.exists(self.path(original))

    def version(self, original: Original) -> Version | None:
        """Return what changes when the file is replaced; None where it is gone."""
        try:
            return version_of(f"{self._root}/{original.relative}")
        except FileNotFoundError:
            return None

    def open(self, original: Original) -> tuple[BinaryIO, Version]:
        """Return a file of its bytes that another process may read, and its version.  Raises OSError."""
        with contextlib.ExitStack() as undo:
            file = undo.enter_context(self.path(original).open("rb", buffering=0))
            version = version_of(file.fileno())
            if self._local != self._root:
                return _in_memory(file, version.bytes), version
            undo.pop_all()
        return file, version

    def pieces(self, original: Original) -> Iterator[tuple[Version, bytes]]:
        """Yield its bytes in pieces, each with its version; of an empty file one.  Raises OSError."""
        yield from pieces_of(self.path(original).open("rb", buffering=0))

    def stat(self, original: Original) -> os.stat_result:
        """Return what the file system knows of its file.  Raises OSError."""
        return os.lstat(self.path(original))

    def sha256(self, original: Original) -> str:
        """Return the hash of its bytes.  Raises OSError."""
        return sha256_of(self.path(original))

    def placed_at(self, key: str) -> float:
        """Return when the original of `key` came here, seconds since 1970; 0 where there is none."""
        original = self.find(key)
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self.path(original)).st_ctime if original else 0.0
        return 0.0

    def folders(self, first: int = 0) -> Iterator[int]:
        """Yield the numbers of the folders that there are, from `first` (below FOLDERS) on."""
        for high in _numbers_in(f"{self._root}/originals"):
            if high < first >> 8:
                continue
            for low in _numbers_in(f"{self._root}/originals/{high:02x}"):
                if high << 8 | low >= first:
                    yield high << 8 | low

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
        return NewFile(f"{self._local}/incoming", PRIVATE_FILE)

    def near(self, file: NewFile) -> contextlib.AbstractContextManager[NewFile]:
        """Give a new file where originals lie: `file`, or a copy of it.  Raises OSError."""
        if self._local == self._root or not file.lies_in(f"{self._local}/incoming"):
            return contextlib.nullcontext(file)
        return NewFile.copy_of(file, f"{self._root}/incoming", PRIVATE_FILE)

    def place(self, file: NewFile, original: Original, record: Record) -> None:
        """Give `file` its name, the time of its store and its tag.  Raises OSError."""
        if stat.S_IMODE(os.fstat(file.descriptor).st_mode) != PRIVATE_FILE:
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
        """Make sure that file and name survive a crash of the machine; one that is gone is passed over.

        Where it is far away, only its name is left to do: what it costs is paid on each of its servers.
        """
        path = f"{self._root}/{original.relative}"
        with contextlib.suppress(FileNotFoundError):
            if self._local == self._root:
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


def _in_memory(file: BinaryIO, count_bytes: int) -> BinaryIO:
    """Return a file in memory with the bytes of `file`.  Raises OSError."""
    with contextlib.ExitStack() as undo:
        descriptor = os.memfd_create("original", os.MFD_CLOEXEC)
        memory = undo.enter_context(os.fdopen(descriptor, "wb+", buffering=0))
        copy_bytes(file.fileno(), descriptor, count_bytes)
        memory.seek(0)
        undo.pop_all()
    return memory


def _numbers_in(folder: str) -> list[int]:
    """Return what two hexadecimal digits mean that the names in a folder are, in their order."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return [int(name, 16) for name in sorted(os.listdir(folder)) if TWO_DIGITS.fullmatch(name)]
    return []


def _all_names(key: str) -> list[Original]:
    return [Original(key, extension, is_private) for _, extension, is_private in NAMES]
