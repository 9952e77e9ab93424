"""A file on its way to its place: temporary file, sync, rename; written before the sync is waited for.

Files that come together wait together: the kernel writes the first while the second is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_BEGIN_TO_WRITE = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h


def start_sync(descriptor: int) -> None:
    """Have the kernel begin to write a file's bytes; whether that works is seen by `fsync`."""
    _sync_file_range(descriptor, 0, 0, _BEGIN_TO_WRITE)


class NewFile:
    """A temporary file with its content; `place` it or `discard` it."""

    def __init__(self, temporary: str, content: bytes, mode: int) -> None:
        """Write `content` to the new file `temporary`.  Raises OSError, and leaves nothing."""
        self._temporary = temporary
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(temporary, flags, mode)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(self._descriptor, view) :]
            start_sync(self._descriptor)
        except OSError:
            self.discard()
            raise

    def place(self, target: str, folder_mode: int) -> None:
        """Make sure that it is on disk and move it to `target`.  Raises OSError, and leaves nothing."""
        try:
            os.fsync(self._descriptor)
            move(self._temporary, target, folder_mode)
        except OSError:
            self.discard()
            raise
        self._close()

    def discard(self) -> None:
        """Remove the temporary file."""
        self._close()
        remove(self._temporary)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def move(source: str, target: str, folder_mode: int) -> None:
    """Rename a file; the target's folder is made where it is missing, which is rare in a large store."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        make_dir(os.path.dirname(target), folder_mode)
        os.rename(source, target)


def remove(path: str) -> None:
    """Remove a file that may not be there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def make_dir(path: str | os.PathLike[str], mode: int) -> None:
    """Make a folder and its missing parents with `mode` (the processes run with umask 007)."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_dir(os.path.dirname(path), mode)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)


def sync_dir(path: str) -> None:
    """Make sure that what was moved into a folder, or removed from it, stays so."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
