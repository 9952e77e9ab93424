"""A picture being received: a file without a name, or memory while the storage is full."""

from __future__ import annotations

import io
import logging
import os
import threading
from types import TracebackType
from typing import BinaryIO

from image_cloud.errors import StorageUnavailable
from image_cloud.picture.formats import HEAD_BYTES
from image_cloud.storage.guard.trouble import RETRY_AFTER_S, unavailable
from image_cloud.storage.new_file import NewFile
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


class MemoryBudget:
    """What all unstored pictures of one process may take together, bytes; 0: they are refused."""

    def __init__(self, limit_bytes: int) -> None:
        self._free = limit_bytes
        self._is_none = not limit_bytes
        self._mutex = threading.Lock()

    def take(self, count: int) -> None:
        """Reserve `count` bytes.  Raises StorageUnavailable when they are not there."""
        with self._mutex:
            if count > self._free:
                more = "" if self._is_none else ", and no memory left to pass the picture through"
                raise StorageUnavailable(f"storage: full{more}", retry_after_s=RETRY_AFTER_S)
            self._free -= count

    def give_back(self, count: int) -> None:
        """Return `count` bytes."""
        with self._mutex:
            self._free += count


class Incoming:
    """Takes the bytes of one download; a context manager that leaves nothing behind.

    `file` is to be kept; there is none where the bytes are in memory, for `why_in_memory`.

    Writes below `store` as long as it has room, else into memory out of `budget`.
    """

    def __init__(self, store: Store, budget: MemoryBudget) -> None:
        self._store = store
        self._budget = budget
        self._taken = 0
        self.size = 0
        self.head = b""
        self._first = b""
        self.file: NewFile | None = None
        self._memory = -1
        self.why_in_memory = StorageUnavailable("storage: unavailable")

    def __enter__(self) -> Incoming:
        try:
            if self._store.space.has_room():
                self.file = self._store.originals.new_file()
                return self
            self._move_to_memory(StorageUnavailable("storage: full", retry_after_s=RETRY_AFTER_S))
        except StorageUnavailable as error:
            self._move_to_memory(error)
        except OSError as error:
            self._move_to_memory(unavailable(error))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self._first = b""
        if self.file:
            self.file.close()
        if self._memory >= 0:
            os.close(self._memory)
        self._budget.give_back(self._taken)

    def write(self, chunk: bytes) -> None:
        """Append `chunk`.  Raises StorageUnavailable where neither disk nor memory takes it."""
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._first = self._first or chunk
        if self.file is None:
            self._take(len(chunk))
        try:
            self._write_all(chunk)
        except OSError as error:
            self._move_to_memory(unavailable(error))
            self._take(len(chunk))
            self._write_all(chunk)
        self.size += len(chunk)

    def open(self) -> BinaryIO:
        """Return all bytes as a file to read: what came in one piece need not be read from disk."""
        if len(self._first) == self.size:
            return io.BytesIO(self._first)
        return open(f"/proc/self/fd/{self._descriptor}", "rb")

    def reopened(self) -> int:
        """Return a descriptor of all bytes to read, which outlives this; it is the caller's to close."""
        return os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)

    def start_sync(self) -> None:
        """Have the kernel begin to write the bytes to disk: all have come."""
        if self.file:
            self.file.start_sync()

    def data(self) -> bytes:
        """Return all bytes."""
        return os.pread(self._descriptor, self.size, 0)

    @property
    def _descriptor(self) -> int:
        return self.file.descriptor if self.file else self._memory

    def _write_all(self, chunk: bytes) -> None:
        view, offset = memoryview(chunk), self.size
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def _move_to_memory(self, error: StorageUnavailable) -> None:
        log.warning("event=storage_unavailable reason=%r", error.detail)
        self.why_in_memory = error
        self._memory = os.memfd_create("unstored", os.MFD_CLOEXEC)
        file, self.file = self.file, None
        if file:
            self._take(self.size)
            done, self.size = self.size, 0
            self._write_all(os.pread(file.descriptor, done, 0))
            self.size = done
            file.close()

    def _take(self, count: int) -> None:
        self._budget.take(count)
        self._taken += count
