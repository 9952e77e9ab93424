"""The boxes of an ISO base media file (ISO/IEC 14496-12): each has a length, a type and a body."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from image_cloud.picture.malformed import CutOff, Malformed

MOST_TOP_BOXES = 1000
MOST_BOXES = 20_000
MOST_HEADER_BYTES = 16 << 20
"""`meta` and `moov` are read whole; no picture's is larger than a few megabytes."""


class Box(NamedTuple):
    """A box's type and where its body lies."""

    kind: bytes
    start: int
    end: int


def top_boxes(file: BinaryIO, size: int) -> Iterator[Box]:
    """Yield the boxes of a file of `size` bytes; the last may be cut off by the file's end."""
    at = 0
    for _ in range(MOST_TOP_BOXES):
        if at >= size:
            return
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        box, at = _box(head, 0, at, size)
        yield box


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes in `data[start:end]`.  Raises Malformed where one does not fit."""
    at = start
    for _ in range(MOST_BOXES):
        if end - at < 8:
            return
        box, at = _box(data, at, at, end)
        if box.end > end:
            raise Malformed("a box is larger than the one around it")
        yield box
    raise Malformed("too many boxes")


def body_of(file: BinaryIO, box: Box) -> bytes:
    """Read a box's body.  Raises CutOff where it is not all there."""
    if box.end - box.start > MOST_HEADER_BYTES:
        raise Malformed("the headers are too large")
    file.seek(box.start)
    body = file.read(box.end - box.start)
    if len(body) < box.end - box.start:
        raise CutOff("the headers are cut off")
    return body


def _box(data: bytes, place: int, start: int, end: int) -> tuple[Box, int]:
    """Read the head at `data[place:]` of a box that starts at `start`; return where the next starts."""
    size, kind = struct.unpack_from(">I4s", data, place)
    head = 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", data, place + 8)
        head = 16
    elif size == 0:
        size = end - start
    if size < head:
        raise Malformed("a box is smaller than its head")
    return Box(kind, start + head, start + size), start + size
