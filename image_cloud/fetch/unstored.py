"""Pictures that the storage did not take, kept in memory for a short while by all processes of the node.

While the disk is full, every request for such a picture would ask its origin once more.  They are files in a
folder of /dev/shm that is the run user's alone, one for each key: a line of JSON, then the picture's bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.fetch.arrival import Delivery
from image_cloud.process import json_file
from image_cloud.process.typed import fit
from image_cloud.storage.files import make_dir, unlink
from image_cloud.storage.new_file import NewFile

MEMORY = Path("/dev/shm")  # noqa: S108
FOLDER, FILE = 0o700, 0o600


@dataclasses.dataclass(frozen=True)
class Kept:
    """A picture in memory, and how it was delivered."""

    delivery: Delivery
    data: bytes


def folder_of(run: str) -> Path:
    """Return the folder for the node whose run folder this is."""
    return MEMORY / f"image-cloud-{hashlib.sha256(run.encode()).hexdigest()[:16]}"


class Unstored:
    """Keeps pictures in `folder` for `keep_s`, the youngest of them up to `most_bytes`; with 0 it keeps none.

    `clock` gives seconds since 1970.  What cannot be kept or read is not there: nothing here raises.
    """

    def __init__(
        self, folder: Path, most_bytes: int, keep_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._keep_s = keep_s
        self._clock = clock

    def find(self, key: str) -> Kept | None:
        """Return the picture of `key`, None where it is not here or too old."""
        with contextlib.suppress(OSError, ValueError):
            return self._read(self._path(key)) if self._is_ours() else None
        return None

    def keep(self, key: str, kept: Kept) -> None:
        """Keep a picture, and drop the oldest ones for it."""
        head = json.dumps(dataclasses.asdict(kept.delivery)).encode() + b"\n"
        room = self._most_bytes - len(head) - len(kept.data)
        if not self._keep_s or room < 0:
            return
        with contextlib.suppress(OSError):
            make_dir(self._folder, FOLDER)
            if self._is_ours():
                self._shrink(room)
                self._write(key, head + kept.data)

    def forget(self, key: str) -> None:
        """Drop a picture: it is stored now, or was deleted."""
        with contextlib.suppress(OSError):
            unlink(self._path(key))

    def expire(self) -> None:
        """Drop what is too old, and the folder with the last of it."""
        self._drop(self._most_bytes)

    def clear(self) -> None:
        """Drop everything."""
        self._drop(0)

    def _drop(self, room: int) -> None:
        with contextlib.suppress(OSError):
            if self._is_ours():
                self._shrink(room)
                os.rmdir(self._folder)

    def _read(self, path: str) -> Kept | None:
        with open(path, "rb") as file:
            if self._clock() - os.fstat(file.fileno()).st_mtime > self._keep_s:
                return None
            return Kept(fit(Delivery, json_file.parse(file.readline())), file.read())

    def _write(self, key: str, content: bytes) -> None:
        with NewFile(os.fspath(self._folder), FILE) as file:
            file.write(content)
            now = self._clock()
            os.utime(file.descriptor, (now, now))
            file.place(self._path(key), FOLDER)

    def _shrink(self, room: int) -> None:
        """Remove the oldest files until the others fit into `room` bytes; and all that are too old."""
        found = [(entry.stat(), entry.path) for entry in os.scandir(self._folder)]
        oldest = self._clock() - self._keep_s
        for status, path in sorted(found, key=lambda one: one[0].st_mtime, reverse=True):
            room -= status.st_size
            if room < 0 or status.st_mtime < oldest:
                unlink(path)

    def _is_ours(self) -> bool:
        """Say whether nobody else can have put files there: everybody may make folders beside it."""
        status = os.lstat(self._folder)
        is_closed = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        return is_closed and status.st_uid == os.geteuid()

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key}"
