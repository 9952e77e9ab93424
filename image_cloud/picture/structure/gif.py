"""The blocks of a GIF."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

MOST_REPAIRS, MOST_CANDIDATES, MOST_STEPS = 4, 50, 200
MOST_BLOCKS, MOST_LOOKED_AT = 100_000, 10_000
"""Blocks and sub-blocks together, those of full length apart."""
FULL = re.compile(rb"(?:\xff[\0-\xff]{255})*+")
START = re.compile(rb"\x21\xf9\x04[\0-\xff]{4}\0|\x21\xfe|\x21\xff\x0b|\x2c[\0-\xff]{9}")
FIRST_IMAGE = re.compile(rb"\x2c[\0-\xff]{9}")
IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
KINDS = frozenset({IMAGE, EXTENSION, TRAILER})
CONTROL = 0xF9


class Block(NamedTuple):
    """What begins at `start`: an image (`body`: its descriptor), an extension (`body`: its label)."""

    kind: int
    start: int
    body: int
    end: int


def palette_bytes(flags: int) -> int:
    """Return the length of the palette that the flags of a screen or an image announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def screen_of(data: Data) -> Size:
    """Return the size of the logical screen, which may be nothing."""
    return number(data, 6, 2, "little"), number(data, 8, 2, "little")


def frame_of(data: Data, image: Block) -> tuple[int, int, int, int]:
    """Return an image's place on the screen: left, top, width, height."""
    left, top, width, height = (number(data, image.body + at, 2, "little") for at in (0, 2, 4, 6))
    return left, top, width, height


def canvas_of(screen: Size, frame: tuple[int, int, int, int]) -> Size:
    """Return the size of the picture: the screen grows to hold its first image, as in browsers."""
    left, top, width, height = frame
    return max(screen[0], left + width), max(screen[1], top + height)


def blocks(data: Data, most: int = MOST_BLOCKS) -> Iterator[Block]:
    """Yield the blocks up to the trailer, or to where they end or no more can be made out.

    The last may be cut off by the file's end.  Raises Malformed after `most` steps.
    """
    first = at = 13 + palette_bytes(number(data, 10, 1))
    left, repairs, has_image = most, MOST_REPAIRS, False
    while at < len(data):
        if data[at] not in KINDS:
            hit = START.search(data, at)
            if hit is None:
                return
            at = hit.start()
        block, left = _block(data, at, left - 1)
        at, has_image = block.end, has_image or block.kind == IMAGE
        if repairs and block.kind == EXTENSION and not _goes_on(data, at, has_image):
            repairs -= 1
            at = _repaired(data, block.body, START) or _repaired(data, first, FIRST_IMAGE) or at
        yield block._replace(end=at)
        if block.kind == TRAILER:
            return


def size_of(data: Data) -> Size:
    """Return width and height of the first image on its screen."""
    image = next((block for block in blocks(data, MOST_LOOKED_AT) if block.kind == IMAGE), None)
    if image is None:
        raise CutOff
    return canvas_of(screen_of(data), frame_of(data, image))


def count_images(data: Data, most: int) -> int:
    """Count the images, up to `most` and as far as they can be made out."""
    found = 0
    try:
        for block in blocks(data):
            found += block.kind == IMAGE
            if found >= most:
                break
    except Malformed:
        pass
    return found


def find_end(data: Data) -> None:
    """Find the trailer; a file that ends between two blocks behind an image is whole as well."""
    if data[-2:] == b"\0;":
        return
    images, end, kind = 0, 0, 0
    for block in blocks(data, MOST_LOOKED_AT):
        images, end, kind = images + (block.kind == IMAGE), block.end, block.kind
    if kind != TRAILER and (not images or end > len(data)):
        raise CutOff


def _block(data: Data, at: int, left: int) -> tuple[Block, int]:
    """Return the block at `at` and what is left of the steps."""
    if left < 0:
        raise Malformed("too many blocks")
    kind, end = data[at], at + 1
    if kind == EXTENSION:
        end, left = behind_data(data, at + 2, left)
    elif kind == IMAGE:
        end, left = behind_data(data, data_start(data, at + 1), left)
    return Block(kind, at, at + 1, end), left


def _goes_on(data: Data, at: int, has_image: bool) -> bool:
    """Tell whether a block may start here; the file may end only behind an image."""
    if at < len(data):
        return data[at] in KINDS and (has_image or data[at] != TRAILER)
    return at == len(data) and has_image


def _repaired(data: Data, start: int, pattern: re.Pattern[bytes]) -> int:
    """Return where a block starts that leads to another; 0 if none is found.

    An extension of the wrong length leads to none, or over the only image to the trailer.
    """
    for hit, _ in zip(pattern.finditer(data, start), range(MOST_CANDIDATES), strict=False):
        with contextlib.suppress(Malformed):
            if _goes_on(data, _block(data, hit.start(), MOST_STEPS)[0].end, has_image=True):
                return hit.start()
    return 0


def data_start(data: Data, descriptor: int) -> int:
    """Return where an image's sub-blocks start, behind its palette and the size of its codes."""
    flags = data[descriptor + 8] if descriptor + 8 < len(data) else 0
    return descriptor + 9 + palette_bytes(flags) + 1


def behind_data(data: Data, at: int, left: int) -> tuple[int, int]:
    """Return the offset behind a chain of sub-blocks, beyond the file's end if that cuts it off."""
    while at < len(data):
        hit = FULL.match(data, at)
        at = hit.end() if hit else at
        if at >= len(data):
            break
        if not data[at]:
            return at + 1, left
        at += 1 + data[at]
        left -= 1
        if left < 0:
            raise Malformed("too many blocks")
    return max(at, len(data)) + 1, left
