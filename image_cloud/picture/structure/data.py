"""The bytes that are walked over."""

from __future__ import annotations

import contextlib
import io
import mmap
from collections.abc import Iterator
from typing import BinaryIO

from image_cloud.picture.malformed import CutOff

Data = bytes | mmap.mmap
Size = tuple[int, int]


@contextlib.contextmanager
def bytes_of(file: BinaryIO) -> Iterator[Data]:
    """Give a file's bytes without reading what nobody looks at."""
    if isinstance(file, io.BytesIO):
        yield file.getvalue()
    elif not file.seek(0, io.SEEK_END):
        yield b""
    else:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def all_of(file: BinaryIO) -> bytes:
    """Read a file from its start; without the second copy that read() makes where some is in its buffer."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return file.read(size)


def number(data: Data, at: int, count: int, order: str = "big") -> int:
    """Read an unsigned number of `count` bytes.  Raises CutOff."""
    field = data[at : at + count]
    if len(field) < count:
        raise CutOff
    return int.from_bytes(field, "big" if order == "big" else "little")
