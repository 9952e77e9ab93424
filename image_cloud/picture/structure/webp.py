"""The chunks of a WebP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

MOST_CHUNKS = 20_000
MOST_REPAIRS = 4
KNOWN = re.compile(rb"VP8[ LX]|ALPH|ANIM|ANMF|ICCP|EXIF|XMP ")
STILLS = frozenset({b"VP8 ", b"VP8L"})
PIXELS = STILLS | {b"ALPH", b"ANMF"}


class Chunk(NamedTuple):
    """A chunk's type and where its body lies; the last body may be cut off by the file's end."""

    kind: bytes
    start: int
    end: int


def chunks(data: Data, start: int = 12, end: int | None = None) -> Iterator[Chunk]:
    """Yield the chunks of a file, or those within a frame that starts and ends there.

    Raises Malformed where there are too many.
    """
    at, end, repairs = start, len(data) if end is None else end, MOST_REPAIRS
    for _ in range(MOST_CHUNKS):
        if end - at < 8:
            return
        chunk = Chunk(data[at : at + 4], at + 8, at + 8 + number(data, at + 4, 4, "little"))
        at = chunk.end + (chunk.end - chunk.start) % 2
        if repairs and chunk.kind not in PIXELS and not _is_head(data, at, end):
            repairs -= 1
            at = _repaired(data, chunk, end) or at
        yield chunk._replace(end=min(chunk.end, max(at, chunk.start), end))
    raise Malformed("too many chunks")


def size_of(data: Data) -> Size:
    """Return the size of an animation's canvas, else of the one picture that is there."""
    canvas = None
    for chunk in chunks(data):
        if chunk.kind == b"VP8X" and chunk.end - chunk.start >= 10:
            canvas = canvas_size(data, chunk)
        if chunk.kind == b"ANMF" and canvas:
            return canvas
        if chunk.kind in STILLS:
            return still_size(data, chunk)
    if canvas is None:
        raise CutOff
    return canvas


def canvas_size(data: Data, header: Chunk) -> Size:
    """Return the size of the canvas that an extended file's header tells."""
    return _plus_one(data, header.start + 4, 3), _plus_one(data, header.start + 7, 3)


def still_size(data: Data, chunk: Chunk) -> Size:
    """Return the size of a picture, lossy or lossless."""
    if chunk.kind == b"VP8L":
        bits = number(data, chunk.start + 1, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = (number(data, chunk.start + at, 2, "little") for at in (6, 8))
    return width & 0x3FFF, height & 0x3FFF


def find_end(data: Data) -> None:
    """Compare the file with the length that it declares."""
    length = number(data, 4, 4, "little")
    if 8 + length - length % 2 > len(data):
        raise CutOff


def _plus_one(data: Data, at: int, count: int) -> int:
    return number(data, at, count, "little") + 1


def _is_head(data: Data, at: int, end: int) -> bool:
    """Tell whether a chunk may start here; it may at the end."""
    return at == end or (at < end and KNOWN.match(data, at) is not None)


def _repaired(data: Data, chunk: Chunk, end: int) -> int:
    """Return where a known chunk starts behind one whose length leads to none; 0 if none is found."""
    for hit in KNOWN.finditer(data, chunk.start, end - 8):
        if hit.end() + 4 + number(data, hit.end(), 4, "little") <= end:
            return hit.start()
    return 0
