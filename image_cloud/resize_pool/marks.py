"""Marks which request is being decoded; a mark outlives a killed decoder.

Each resize worker has one small file.  It writes the request's id before it touches the picture and blanks
it afterwards: a file made and removed for each picture would cost more than all else around the decoding.
When nginx sees a resize worker die, the front pool looks for the request's id: it is there, so that picture
broke the decoder; it is not, so the pool was never reached.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from image_cloud.storage.folders import SHARED_FILE

BLANK = b"-"  # over an id's first digit; marks are all of one length


class Attempts:
    """The folder of decoding attempts, shared by the resize and the front pool.

    `folder` exists and both pools may write to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = 0
        self._descriptor = -1

    @contextlib.contextmanager
    def under_way(self, request_id: str, key: str) -> Iterator[None]:
        """Mark `request_id` as decoding the original of `key`; without an id nothing is marked."""
        if request_id == "-":
            yield
            return
        self._write(f"{request_id} {key}".encode())
        try:
            yield
        finally:
            self._write(BLANK)

    def take(self, request_id: str) -> str | None:
        """Return the key that `request_id` was decoding and blank the mark; None without one."""
        for path in self._marks():
            with contextlib.suppress(OSError):
                found, _, key = path.read_text().partition(" ")
                if found == request_id:
                    with path.open("r+b") as file:
                        file.write(BLANK)
                    return key
        return None

    def running(self) -> int:
        """Return how many workers are at a picture now."""
        return sum(self._is_running(path) for path in self._marks())

    def _is_running(self, path: Path) -> bool:
        if not Path("/proc", path.name).exists():
            return False  # it was killed at it
        with contextlib.suppress(OSError):
            return path.read_bytes()[:1] not in (b"", BLANK)
        return False

    def _marks(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                yield Path(entry.path)

    def _write(self, mark: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not stop a resize
            if self._pid != os.getpid():
                self._open()
            os.pwrite(self._descriptor, mark, 0)

    def _open(self) -> None:
        """Open this process's file; the janitor removes those of processes that ended long ago."""
        own = self._folder / str(os.getpid())
        self._descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, SHARED_FILE)
        self._pid = os.getpid()
