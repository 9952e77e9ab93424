"""Exports: the originals of a store as tars in webdataset's layout, to go on with after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from image_cloud.bulk.samples import END, JSON, header_in, padded
from image_cloud.bulk.sending import Shrunk, sample
from image_cloud.process.closing import Closing
from image_cloud.storage.store import Store

PART = ".part"
MOST_IN_MEMORY_BYTES = 64_000_000


class Damaged(Exception):
    """An original that cannot be exported; the text says why."""


def keys_behind(store: Store, after: str) -> Iterator[str]:
    """Yield the keys of the originals in `store` behind `after`, in their order."""
    first = int(after[:4], 16) if after else 0
    for number in store.originals.folders(first):
        folder = {original.key for original in store.originals.in_folder(number)}
        yield from sorted(key for key in folder if key > after)


def pieces_of(store: Store, key: str) -> Iterator[bytes] | None:
    """Return the members of a picture piece by piece, None where it has gone.

    Raises Damaged, at the end where its bytes are not those of its record.
    """
    try:
        pieces = sample(store, key)
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from error
    if pieces is None:
        if store.originals.find(key) is None:
            return None
        known = store.records.find(key)
        raise Damaged("its size is not that of its record" if known else "it has no record")
    return _checked(pieces, store, key)


def _checked(pieces: Iterator[bytes], store: Store, key: str) -> Iterator[bytes]:
    record, digest = store.records.find(key), hashlib.sha256()
    left = record.bytes if record else 0
    for number, piece in enumerate(readable(pieces)):
        if number > 1 and left:  # behind what is told of it, and its own header
            digest.update(piece)
            left -= len(piece)
        yield piece
    if record and digest.hexdigest() != record.sha256:
        raise Damaged("its bytes are not those of its record")


def readable(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `pieces`.  Raises Damaged where reading them fails."""
    try:
        yield from pieces
    except Shrunk:
        raise Damaged("it has become shorter") from None
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from error


class Archive(Closing):
    """A tar at `path`; until `finish` it is called `.part`, and goes on where such a one was broken off.

    `last` is the key of its last picture.  Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + PART)
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._file = os.fdopen(descriptor, "r+b")
        self.size, self.last = whole_samples(self._file)
        self._cut()

    def add(self, pieces: Iterator[bytes]) -> None:
        """Append a picture, or nothing of it where that raises."""
        try:
            written = sum(map(self._file.write, pieces))
        except BaseException:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.size += written

    def finish(self) -> None:
        """End it, make sure that it is on the disk, and give it its name."""
        self._file.write(END)
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._part, self.path)

    def discard(self) -> None:
        """Remove it: it is empty."""
        os.unlink(self._part)

    def close(self) -> None:
        """Leave what there is of it."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _cut(self) -> None:
        self._file.seek(self.size)
        self._file.truncate()


def whole_samples(file: BinaryIO) -> tuple[int, str]:
    """Return where the whole pictures of an export end, and the key of the last one.

    Raises ValueError for a file that is no such tar.
    """
    size = os.fstat(file.fileno()).st_size
    end, last, at = 0, "", 0
    while at + len(END) // 2 <= size:
        file.seek(at)
        member = header_in(file.read(len(END) // 2))
        if member is None:
            break
        at += len(END) // 2 + padded(member.size)
        key, _, kind = member.name.partition(".")
        if kind != JSON and at <= size:
            end, last = at, key
    return end, last


class Shards(Closing):
    """Archives one after the other, each of about `most_bytes`; `name` gives each its path by its number.

    Goes on behind the pictures of those that are there.  Raises OSError, ValueError.
    """

    def __init__(self, name: Callable[[int], Path], most_bytes: float) -> None:
        self._name = name
        self._most_bytes = most_bytes
        self._number = 0
        self.last = ""
        while (path := name(self._number)).exists():
            with open(path, "rb") as file:
                self.last = whole_samples(file)[1] or self.last
            self._number += 1
        self._archive = Archive(name(self._number))
        self.last = self._archive.last or self.last
        self.written: list[Path] = []

    def add(self, pieces: Iterator[bytes]) -> None:
        """Append a picture, or nothing of it where that raises."""
        if self._archive.size >= self._most_bytes:
            self.finish()
            self._archive = Archive(self._name(self._number))
        self._archive.add(pieces)

    def finish(self) -> None:
        """End the last one; without a picture there is none, unless it is the only one."""
        if self._archive.size or not self._number:
            self._archive.finish()
            self.written.append(self._archive.path)
            self._number += 1
        else:
            self._archive.discard()
        self._archive.close()

    def close(self) -> None:
        """Leave what there is of the last one."""
        self._archive.close()


class Pipe(Closing):
    """The same for a pipe, in one piece; `last` is the key behind which it begins."""

    def __init__(self, file: BinaryIO, last: str) -> None:
        self.last = last
        self._file = file
        self.written: list[Path] = []

    def add(self, pieces: Iterator[bytes]) -> None:
        """Write a picture, or nothing of it where reading it raises; a large one waits on the disk."""
        with tempfile.SpooledTemporaryFile(MOST_IN_MEMORY_BYTES) as whole:
            for piece in pieces:
                whole.write(piece)
            whole.seek(0)
            shutil.copyfileobj(whole, self._file)

    def finish(self) -> None:
        """End the tar."""
        self._file.write(END)
        self._file.flush()

    def close(self) -> None:
        """Leave the pipe to its owner."""
