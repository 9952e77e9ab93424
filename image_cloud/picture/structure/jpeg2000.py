"""JPEG 2000: its boxes, and the size on the grid of its codestream."""

from __future__ import annotations

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

MOST_BOXES = 10_000
CODESTREAM = b"\xff\x4f\xff\x51"
WITHIN_BYTES = 1 << 16
"""As much of a file's beginning as is searched for its size."""


def size_of(data: Data) -> Size:
    """Return width and height of the codestream."""
    at = data.find(CODESTREAM, 0, WITHIN_BYTES)
    if at < 0:
        raise Malformed
    right, bottom, left, top = (number(data, at + 8 + 4 * side, 4) for side in range(4))
    return right - left, bottom - top


def find_end(data: Data) -> None:
    """Compare the file with its boxes; a bare codestream has none."""
    at = len(data) if data[:4] == CODESTREAM else 0
    for _ in range(MOST_BOXES):
        if at == len(data):
            return
        length = number(data, at, 4)
        if length == 1:
            length = number(data, at + 8, 8)
        if length < 8:
            raise Malformed  # 0: up to the file's end, wherever that is
        at += length
        if at > len(data):
            raise CutOff
    raise Malformed("too many boxes")
