"""Originals that come together: one flush for all their bytes, then their names.

`commit_records` (image_cloud/storage/recorder.py) then syncs the names and commits the rows, once for all.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from typing import BinaryIO

from image_cloud.errors import ImageCloudError, StorageUnavailable
from image_cloud.picture.formats import HEAD_BYTES
from image_cloud.picture.record import Record
from image_cloud.process.closing import Closing
from image_cloud.storage.guard.trouble import RETRY_AFTER_S, unavailable
from image_cloud.storage.new_file import NewFile, sync_together
from image_cloud.storage.store import Store

MOST_FILES, MOST_BYTES = 128, 32 * 10**6


class Received(Closing):
    """A file of `store` that is being written; closes it, unless it was handed over.

    `head` is its beginning, `size` its bytes.  Raises StorageUnavailable without room for it, OSError.
    """

    def __init__(self, store: Store) -> None:
        if not store.space.has_room():
            raise StorageUnavailable("storage: full", retry_after_s=RETRY_AFTER_S)
        self._file: NewFile | None = store.originals.new_file()
        self._digest = hashlib.sha256()
        self.head = b""
        self.size = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Append `piece`.  Raises OSError."""
        assert self._file
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(piece[: HEAD_BYTES - len(self.head)])
        self._digest.update(piece)
        self._file.write(piece)
        self.size += len(piece)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written."""
        return self._digest.hexdigest()

    def open(self) -> BinaryIO:
        """Return all bytes as a file to read."""
        assert self._file
        return open(f"/proc/self/fd/{self._file.descriptor}", "rb")

    def hand_over(self) -> NewFile:
        """Return the file: it is the caller's."""
        assert self._file
        file, self._file = self._file, None
        return file

    def close(self) -> None:
        """Close the file, unless it was handed over."""
        if self._file:
            self._file.close()


class Group(Closing):
    """Files that are to be named in `store` together; a context manager that closes them.

    A crash at any time leaves each picture as it was, or whole with its note (storage/records.py).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files: list[tuple[NewFile, Record, bool]] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    @property
    def is_full(self) -> bool:
        """Say whether there is enough to share a flush."""
        return len(self._files) >= MOST_FILES or self.bytes >= MOST_BYTES

    def add(self, file: NewFile, record: Record, *, is_private: bool) -> None:
        """Take a file over, in which are the bytes of `record`."""
        file.start_sync()
        self._files.append((file, record, is_private))
        self.bytes += record.bytes

    def close(self) -> None:
        """Let go of the files; what has no name is gone."""
        for file, _, _ in self._files:
            file.close()
        self._files.clear()
        self.bytes = 0

    def place(self) -> tuple[list[Record], dict[str, ImageCloudError]]:
        """Name the files.  Return the records of those that are here, and by keys why others are not.

        What was deleted or blocked is an error among those.  Raises StorageUnavailable; then none is here.
        """
        try:
            with contextlib.ExitStack() as undo:
                new = [
                    (
                        undo.enter_context(self._store.originals.near(file)),
                        undo.enter_context(self._store.records.draft(record)),
                    )
                    for file, record, _ in self._files
                ]
                if new:
                    sync_together(*itertools.chain(*new))
                return self._name(new)
        except OSError as error:
            raise unavailable(error) from error

    def _name(
        self, new: list[tuple[NewFile, NewFile]]
    ) -> tuple[list[Record], dict[str, ImageCloudError]]:
        here: list[Record] = []
        failed: dict[str, ImageCloudError] = {}
        for (file, note), (_, record, is_private) in zip(new, self._files, strict=True):
            try:
                self._store.place_synced(file, note, record, is_private=is_private)
                here.append(record)
            except ImageCloudError as error:
                failed[record.key] = error
            except OSError as error:
                failed[record.key] = unavailable(error)
        return here, failed
