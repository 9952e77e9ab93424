"""Single steps on files: move, remove, make a folder, sync, hash, and a walk that follows no link."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from image_cloud.picture.headers.entity_tag import NANOSECONDS, modified_ns, nanoseconds_of
from image_cloud.storage.guard.trouble import is_trouble


class Version(NamedTuple):
    """What changes when a file is replaced, or stored once more; no `inode` of one that is yet to come."""

    inode: int | None
    bytes: int
    modified_ns: int

    def is_of(self, found: Version | None) -> bool:
        """Say whether a file has this version.  Network file systems keep microseconds."""
        if found is None or self.inode not in (None, found.inode) or self.bytes != found.bytes:
            return False
        return self.modified_ns // 1000 == found.modified_ns // 1000


PIECE_BYTES = 1 << 20
_LOCAL = {
    0xEF53,
    0x58465342,
    0x9123683E,
    0xF2F52010,
}  # ext2 to ext4, XFS, Btrfs, F2FS: linux/magic.h
_STATFS_BYTES, _TYPE_BYTES = 256, ctypes.sizeof(ctypes.c_long)
_libc = ctypes.CDLL(None, use_errno=True)


def version_of(file: int | str) -> Version:
    """Return the version of a file that is there, or open.  Raises OSError."""
    status = os.stat(file)
    return Version(status.st_ino, status.st_size, status.st_mtime_ns)


def copy_bytes(source: int, target: int, count: int) -> None:
    """Copy `count` bytes from the beginning of one open file to the end of another.  Raises OSError."""
    done = 0
    # Not sendfile(), which writes page by page: each is a trip where the target is far away.
    while done < count and (piece := os.pread(source, min(PIECE_BYTES, count - done), done)):
        done += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]


def pieces_of(file: BinaryIO) -> Iterator[tuple[Version, bytes]]:
    """Yield the bytes of a file in pieces, each with its version; of an empty file one.  Then close it.

    A piece is whole, so that a file of one piece is sent whole or not at all.  Raises OSError.
    """
    try:
        version = version_of(file.fileno())
        left, piece = version.bytes, b"-"
        while piece:
            piece = _read(file, min(left, PIECE_BYTES))
            left -= len(piece)
            yield version, piece
            if not left:
                return
    finally:
        with contextlib.suppress(OSError):  # far away that may fail, too: the bytes are here
            file.close()


def _read(file: BinaryIO, count: int) -> bytes:
    """Return the next `count` bytes of a file, fewer where it ends before."""
    piece = file.read(count)
    while len(piece) < count and (more := file.read(count - len(piece))):
        piece += more
    return piece


def move(source: str, target: str, folder_mode: int) -> None:
    """Rename a file, over one that is there; make the target's folder where it is missing."""
    with_folder(lambda name: os.rename(source, name), target, folder_mode)


def with_folder(put: Callable[[str], object], target: str, folder_mode: int) -> None:
    """Call `put(target)`; make the target's folder where it is missing, which is rare in a large store."""
    try:
        put(target)
    except FileNotFoundError:
        make_dir(os.path.dirname(target), folder_mode)
        put(target)


def unlink(path: str) -> None:
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


def sync(path: str) -> None:
    """Make sure that a file or a folder is on disk: its content, its name's count, its entries."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: str) -> bool:
    """Make sure that all files and names of the file system of `folder` are on disk.

    Say whether that is so: network file systems may do nothing when asked this.  Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _is_local(descriptor):
            return False
        if _libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        # ext4 without a journal flushes the disk's cache before it has written its folders.
        os.fsync(descriptor)
        return True
    finally:
        os.close(descriptor)


def _is_local(descriptor: int) -> bool:
    status = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.fstatfs(descriptor, status):
        return False
    return int.from_bytes(status.raw[:_TYPE_BYTES], sys.byteorder) in _LOCAL


def stamp(file: int | str, modified_s: float, sha256: str) -> None:
    """Set what nginx makes Last-Modified and ETag of.  `sha256` is that of the bytes.  Raises OSError."""
    ns = modified_ns(modified_s, sha256)
    os.utime(file, ns=(ns, ns))


def has_stamp(path: str, sha256: str) -> bool:
    """Say whether a file has the stamp of the bytes with this SHA-256."""
    return os.stat(path).st_mtime_ns % NANOSECONDS == nanoseconds_of(sha256)


def touch(path: str, mode: int, modified_ns: int) -> None:
    """Give an empty file this time, nanoseconds since 1970; make it where it is missing.  Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        os.utime(descriptor, ns=(modified_ns, modified_ns))
    finally:
        os.close(descriptor)


def has_time(path: str, modified_ns: int) -> bool:
    """Say whether a file is there and has this time, as far as network file systems keep it: microseconds."""
    try:
        return os.lstat(path).st_mtime_ns // 1000 == modified_ns // 1000
    except OSError:
        return False


def has_bytes(path: str) -> bool:
    """Say whether a file is there and not empty; a link is none, and nginx would not send it.

    Raises OSError where nobody can tell.
    """
    try:
        status = os.lstat(path)
    except OSError as error:
        if is_trouble(error):
            raise
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def modified(path: str | os.PathLike[str]) -> float:
    """Return when a file was last written; one that is gone meanwhile is younger than any other."""
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return math.inf


def count_in(folder: Path) -> int:
    """Return how many files are in `folder`, hidden ones aside; 0 where it does not read."""
    try:
        return sum(not name.startswith(".") for name in os.listdir(folder))
    except OSError:
        return 0


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file.  Raises OSError."""
    import hashlib  # brings OpenSSL, of which the sampler uses nothing

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(folder: str, depth: int, within: str = "") -> Iterator[tuple[str, str]]:
    """Yield what stands `depth` folders deep: its path below `folder`, and one that no link leads elsewhere.

    The latter goes by a descriptor and is good until the next one is asked for.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, flags)
    except OSError:
        return
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"/proc/self/fd/{descriptor}/{entry.name}"
                if depth:
                    yield from walk(path, depth - 1, f"{within}{entry.name}/")
                else:
                    yield within + entry.name, path
    finally:
        os.close(descriptor)
