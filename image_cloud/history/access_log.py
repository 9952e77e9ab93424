"""Follows nginx's access log, whatever is done to it: no line is missed, and none read twice.

Where a log was rotated, the rest of the old one comes first.  A log is known by its inode and by its first
bytes, as inodes are used again, and as `copytruncate` empties a log that keeps its inode.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20
QUIET_S = 3.0
HEAD_BYTES = 80  # less than a line has, and with time and request id in them


@dataclasses.dataclass(frozen=True)
class Place:
    """Up to where the log was read: its inode, its first bytes (Latin-1), and the bytes that were read."""

    inode: int = 0
    head: str = ""
    offset: int = 0


class AccessLog:
    """The log at `path`, and what was rotated away from there: `access.log.1`, `access.log.2`, ..."""

    def __init__(
        self,
        path: Path,
        chunk_bytes: int = CHUNK_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._chunk_bytes = chunk_bytes
        self._clock = clock

    def next(self, place: Place) -> tuple[bytes, Place]:
        """Return the next whole lines after `place`, up to `chunk_bytes`, and the place after them."""
        for path in self._logs(place):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                place = _place_in(file.fileno(), place)
                if lines := self._lines(file.fileno(), place.offset):
                    return lines, dataclasses.replace(place, offset=place.offset + len(lines))
                if path != self._path and self._may_grow(file.fileno()):
                    break
        return b"", place

    def _logs(self, place: Place) -> list[Path]:
        """Return the log that was read last, if it is still there, and all that are newer."""
        rotated = sorted(self._rotated(), reverse=True)
        paths = [path for _, path in rotated if path.exists()] + [self._path]
        by_inode = [
            n for n, path in enumerate(paths) if _is_read_before(path, place, of_inode=True)
        ]
        copies = [n for n, path in enumerate(paths) if _is_read_before(path, place, of_inode=False)]
        return paths[(by_inode or copies or [-1])[-1] :]

    def _may_grow(self, descriptor: int) -> bool:
        """Say whether a rotated log was written to just now: nginx's workers leave it one by one."""
        return abs(self._clock() - os.fstat(descriptor).st_mtime) < QUIET_S

    def _rotated(self) -> Iterator[tuple[int, Path]]:
        pattern = re.compile(re.escape(self._path.name) + r"\.(\d{1,3})")
        with contextlib.suppress(FileNotFoundError):
            for path in self._path.parent.iterdir():
                if found := pattern.fullmatch(path.name):
                    yield int(found[1]), path

    def _lines(self, descriptor: int, offset: int) -> bytes:
        """Return the next whole lines; of a line that fills a whole piece, that piece."""
        chunk = os.pread(descriptor, self._chunk_bytes, offset)
        end = chunk.rfind(b"\n") + 1
        return chunk if not end and len(chunk) == self._chunk_bytes else chunk[:end]


def _place_in(descriptor: int, place: Place) -> Place:
    """Return where to go on in an open log: at its start, unless it is the one that was read last."""
    status = os.fstat(descriptor)
    head = os.pread(descriptor, HEAD_BYTES, 0)
    if _continues(place, head, status.st_size):
        return dataclasses.replace(place, inode=status.st_ino)
    return Place(status.st_ino, head.decode("latin-1") if len(head) == HEAD_BYTES else "", 0)


def _is_read_before(path: Path, place: Place, *, of_inode: bool) -> bool:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    if of_inode and status.st_ino != place.inode:
        return False
    return _continues(place, head, status.st_size)


def _continues(place: Place, head: bytes, size: int) -> bool:
    """Say whether a log with these first bytes and of this size is the one that was read up to `place`."""
    return bool(place.head) and head.decode("latin-1") == place.head and size >= place.offset
