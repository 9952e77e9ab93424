"""New files: written, synced, and only then named.

A new file has no name (O_TMPFILE): a process that dies leaves nothing behind, and no folder is written
before the file has its place, as ext4 without a journal does with each fsync of a new name.  Network file
systems know no such files; there it has a temporary name.  Files that come together wait together, for one
flush of the disk's cache.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from pathlib import Path

from image_cloud.process.closing import Closing
from image_cloud.storage.files import copy_bytes, move, unlink, with_folder

_sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_WAIT_BEFORE, _BEGIN, _WAIT_AFTER = 1, 2, 4  # SYNC_FILE_RANGE_... of linux/fs.h
_NAMES_ONLY = (errno.EOPNOTSUPP, errno.EISDIR)
MOST_NAMED_ONLY = 100
_named_only: set[str] = set()
"""Folders that had no files without names: far away, another try is a trip."""


class NewFile(Closing):
    """An open file that `place` gives its name; a context manager that leaves nothing else behind.

    It lies in the file system of `folder`.  Raises OSError.
    """

    def __init__(self, folder: str, mode: int) -> None:
        self._folder = folder
        self._temporary = ""
        flags = os.O_RDWR | os.O_CLOEXEC
        descriptor = None if folder in _named_only else _nameless(folder, flags, mode)
        if descriptor is None:
            self._temporary = self._another_name()
            descriptor = os.open(self._temporary, flags | os.O_CREAT | os.O_EXCL, mode)
        self.descriptor = descriptor

    @classmethod
    def copy_of(cls, file: NewFile, folder: str, mode: int) -> NewFile:
        """Return a copy of `file` in the file system of `folder`.  Raises OSError."""
        copy = cls(folder, mode)
        try:
            copy_bytes(file.descriptor, copy.descriptor, os.stat(file.descriptor).st_size)
        except OSError:
            copy.close()
            raise
        return copy

    def lies_in(self, folder: str) -> bool:
        """Say whether it was made for `folder`."""
        return self._folder == folder

    def write(self, content: bytes | memoryview) -> None:
        """Append `content`.  Raises OSError."""
        view = memoryview(content)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def start_sync(self) -> None:
        """Have the kernel begin to write to disk; whether that works is seen by `sync`."""
        _sync_file_range(self.descriptor, 0, 0, _BEGIN)

    def sync(self) -> None:
        """Make sure that it is on disk.  Raises OSError."""
        os.fsync(self.descriptor)

    def await_written(self) -> None:
        """Wait until the disk has its bytes, be it in a cache.  Raises OSError."""
        if self._temporary:
            self.sync()  # a network file system promises less
        elif _sync_file_range(self.descriptor, 0, 0, _WAIT_BEFORE | _BEGIN | _WAIT_AFTER):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def place(self, target: str, folder_mode: int) -> None:
        """Give it its name, which it takes over from a file that had it.  Raises OSError."""
        if not self._temporary:
            try:
                with_folder(self._link, target, folder_mode)
                return
            except FileExistsError:
                temporary = self._another_name()
                self._link(temporary)
                self._temporary = temporary
        move(self._temporary, target, folder_mode)
        self._temporary = ""

    def close(self) -> None:
        """Close it, and remove what was not placed."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self._temporary:
            unlink(self._temporary)

    def _link(self, target: str) -> None:
        # Python has the link of /proc followed only where a folder is given, be it of no use.
        os.link(f"/proc/self/fd/{self.descriptor}", target, src_dir_fd=self.descriptor)

    def _another_name(self) -> str:
        return f"{self._folder}/.{secrets.token_hex(16)}"


def _nameless(folder: str, flags: int, mode: int) -> int | None:
    """Return a new file without a name; None where its file system has no such files.  Raises OSError."""
    try:
        return os.open(folder, flags | os.O_TMPFILE, mode)
    except OSError as error:
        if error.errno not in _NAMES_ONLY:
            raise
    if len(_named_only) < MOST_NAMED_ONLY:
        _named_only.add(folder)
    return None


def sync_together(first: NewFile, *others: NewFile) -> None:
    """Make sure that the bytes of all are on disk, so that each may have its name.  Raises OSError.

    The sync of `first` flushes the disk's cache for the others, too.  What the file system notes of those
    follows in its own order, not after their names: a crash can cost one of them, but leaves none torn.
    """
    if others:
        first.start_sync()
    for other in others[1:]:
        other.start_sync()
    for other in others:
        other.await_written()
    first.sync()


class FoundFile(NewFile):
    """A file that has a name already: it stays there unless it is placed.

    Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._folder = os.fspath(path.parent)
        self._temporary = os.fspath(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close it and leave it."""
        self._temporary = ""
        super().close()
