"""The rows of a PNG that is not interlaced, unpacked and unfiltered a strip at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from image_cloud.picture.structure.data import Size

FILTERED = {8: "L", 16: "LA", 24: "RGB", 32: "RGBA"}
"""What PIL calls pixels of so many bits; a filter looks back by as many whole bytes, at least one."""
BITS = frozenset({1, 2, 4, *FILTERED})
STEP_BYTES = 1 << 16
UNFILTERED = b"\0"
DEFLATE, WINDOW_BITS, DICTIONARY = 8, 15, 0x20


class NotWhole(Exception):
    """The rows end too soon, or do not unpack."""


class Strip(NamedTuple):
    """Some rows as they are in the file, without their filters."""

    size: Size
    rows: bytes


def strips(pixels: Sequence[memoryview], size: Size, bits: int, count: int) -> Iterator[Strip]:
    """Yield the picture's rows, `count` at a time; `bits` is of a pixel.  Raises NotWhole."""
    width, height = size
    row_bytes = -(-width * bits // 8)
    above, unpacked, buffer = bytes(row_bytes), _unpacked(pixels), bytearray()
    for top in range(0, height, count):
        rows = min(count, height - top)
        wanted = rows * (1 + row_bytes)
        while len(buffer) < wanted:
            buffer += next(unpacked, b"") or _end()
        plain = _unfiltered(bytes(buffer[:wanted]), above, rows, bits)
        del buffer[:wanted]
        above = plain[-row_bytes:]
        yield Strip((width, rows), plain)


def _end() -> bytes:
    raise NotWhole


def _unpacked(pixels: Sequence[memoryview]) -> Iterator[bytes]:
    """Yield what a zlib stream unpacks to; its checksum does not matter, as browsers have it."""
    head = b"".join(bytes(part[:2]) for part in pixels[:2])[:2]
    if not _is_header(head):
        raise NotWhole
    inflating, skipped = zlib.decompressobj(wbits=-WINDOW_BITS), len(head)
    for part in pixels:
        for at in range(0, len(part), STEP_BYTES):
            piece = part[at : at + STEP_BYTES]
            skipped, piece = max(0, skipped - len(piece)), piece[skipped:]
            yield from _inflated(inflating, piece)


def _is_header(head: bytes) -> bool:
    """Say whether zlib takes these two bytes."""
    return (
        len(head) == 2
        and head[0] & 0x0F == DEFLATE
        and 8 + (head[0] >> 4) <= WINDOW_BITS
        and not head[1] & DICTIONARY
        and int.from_bytes(head, "big") % 31 == 0
    )


def _inflated(inflating: zlib._Decompress, piece: memoryview | bytes) -> Iterator[bytes]:
    while len(piece):
        try:
            unpacked = inflating.decompress(piece, STEP_BYTES)
        except zlib.error:
            raise NotWhole from None
        if unpacked:
            yield unpacked
        piece = inflating.unconsumed_tail


def _unfiltered(filtered: bytes, above: bytes, rows: int, bits: int) -> bytes:
    """Undo the filters of some rows; `above` is the row before them.

    PIL does it, for a picture that begins with that row; nothing is packed in its zlib stream.
    """
    mode = FILTERED.get(bits, "L")
    size = len(above) // len(mode), 1 + rows
    stream = zlib.compress(UNFILTERED + above + filtered, 0)
    try:
        image = Image.frombytes(mode, size, stream, "zip", mode, 0)
    except ValueError:
        raise NotWhole from None
    return image.crop((0, 1, *size)).tobytes()
