"""The chunks of a PNG."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
MOST_CHUNKS, MOST_LOOKED_AT = 200_000, 10_000
MOST_REPAIRS, MOST_CANDIDATES = 4, 100
KNOWN = re.compile(
    rb"IHDR|PLTE|IDAT|IEND|tRNS|iCCP|cICP|sRGB|gAMA|cHRM|eXIf|acTL|fcTL|fdAT|tEXt|zTXt|iTXt|pHYs|tIME|bKGD"
)


class Chunk(NamedTuple):
    """A chunk's type and where its body lies; the last body may be cut off by the file's end."""

    kind: bytes
    start: int
    end: int


def chunks(data: Data, most: int = MOST_CHUNKS) -> Iterator[Chunk]:
    """Yield the chunks up to IEND or to where no more can be made out.

    Raises Malformed where there are more than `most`.
    """
    at, repairs = len(SIGNATURE), MOST_REPAIRS
    for _ in range(most):
        head = data[at : at + 8]
        if len(head) < 8:
            return
        chunk = Chunk(head[4:], at + 8, at + 8 + int.from_bytes(head[:4], "big"))
        at = chunk.end + 4
        if not _is_head(data, at) and chunk.kind != b"IEND" and repairs:
            repairs -= 1
            at = _repaired(data, chunk) or at
            chunk = chunk._replace(end=min(chunk.end, max(at - 4, chunk.start), len(data)))
        yield chunk
        if chunk.kind == b"IEND":
            return
    raise Malformed("too many chunks")


def is_sound(data: Data, chunk: Chunk) -> bool:
    """Tell whether a chunk is as its checksum says."""
    told = data[chunk.end : chunk.end + 4]
    return zlib.crc32(data[chunk.start - 4 : chunk.end]).to_bytes(4, "big") == told


def size_of(data: Data) -> Size:
    """Return width and height of the header."""
    for chunk in chunks(data, MOST_LOOKED_AT):
        if chunk.kind == b"IHDR":
            return number(data, chunk.start, 4), number(data, chunk.start + 4, 4)
        if chunk.kind == b"IDAT":
            break
    raise Malformed("no header")


def find_end(data: Data) -> None:
    """Find IEND; some writers leave its checksum out."""
    if data[-len(END) :] == END:
        return
    if not any(chunk.kind == b"IEND" for chunk in chunks(data, MOST_LOOKED_AT)):
        raise CutOff


def _is_head(data: Data, at: int) -> bool:
    """Tell whether a chunk of a known type starts here, or a sound one; or the file ends."""
    if at >= len(data) or KNOWN.match(data, at + 4):
        return at <= len(data)
    end = at + 8 + int.from_bytes(data[at : at + 4], "big")
    return data[at + 4 : at + 8].isalpha() and is_sound(data, Chunk(b"", at + 8, end))


def _repaired(data: Data, chunk: Chunk) -> int:
    """Return where the next chunk starts after one whose length leads to none; 0 if none is found.

    It is of a known type, fits into the file, and its checksum is right.
    """
    spent = 0
    start = chunk.end if chunk.kind == b"IDAT" else chunk.start
    for hit, _ in zip(KNOWN.finditer(data, start + 4), range(MOST_CANDIDATES), strict=False):
        length = int.from_bytes(data[hit.start() - 4 : hit.start()], "big")
        found = Chunk(hit[0], hit.end(), hit.end() + length)
        if found.end + 4 > len(data) or spent > len(data):
            continue
        spent += length
        if is_sound(data, found):
            return hit.start() - 4
    return 0
