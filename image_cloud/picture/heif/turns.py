"""Crops and turns that a HEIF file asks for (clap, irot, imir), in the order it asks for them."""

from __future__ import annotations

import dataclasses
import struct
from fractions import Fraction

from image_cloud.picture.heif.items import Property

MATRICES = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, -1, 1, 0), 7: (0, -1, -1, 0), 8: (0, 1, -1, 0),
}  # fmt: skip
"""What each EXIF orientation does to a point (x, y) beside the centre, y down: rows of a matrix."""
ORIENTATIONS = {matrix: number for number, matrix in MATRICES.items()}
ROTATIONS = (1, 8, 3, 6)
"""By `irot`'s number of quarter turns to the left."""
MIRRORS = (4, 2)
"""By `imir`'s mode: top and bottom exchanged, left and right exchanged."""
KINDS = frozenset({b"clap", b"irot", b"imir"})

Rectangle = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class Turns:
    """First cut `box` (left, upper, right, lower) out of what is coded, then apply the EXIF `orientation`."""

    box: Rectangle
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Return the width and height that are shown."""
        left, upper, right, lower = self.box
        size = right - left, lower - upper
        return size[::-1] if self.orientation >= 5 else size


def read(size: tuple[int, int], properties: list[Property]) -> Turns:
    """Return what the properties ask for of a coded picture of `size`; what makes no sense is ignored."""
    turns = Turns((0, 0, *size))
    for kind, body in properties:
        if kind == b"irot" and body:
            turns = _turned(turns, ROTATIONS[body[0] & 3])
        elif kind == b"imir" and body:
            turns = _turned(turns, MIRRORS[body[0] & 1])
        elif kind == b"clap" and len(body) == 32:
            turns = _cut(turns, struct.unpack(">IIIIiIiI", body))
    return turns


def _turned(turns: Turns, orientation: int) -> Turns:
    """Apply another orientation on top."""
    a, b, c, d = MATRICES[orientation]
    e, f, g, h = MATRICES[turns.orientation]
    product = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
    return dataclasses.replace(turns, orientation=ORIENTATIONS[product])


def _cut(turns: Turns, clap: tuple[int, ...]) -> Turns:
    """Cut a clean aperture out of what is shown so far; one that does not fit cuts nothing."""
    if not all(clap[1::2]):
        return turns
    wide, high, across, down = (Fraction(*pair) for pair in zip(clap[::2], clap[1::2], strict=True))
    left, upper, right, lower = turns.box
    # Back to what is coded: the matrix's inverse is its transpose.
    a, b, c, d = MATRICES[turns.orientation]
    across, down = a * across + c * down, b * across + d * down
    if turns.orientation >= 5:
        wide, high = high, wide
    new_left = left + (right - left - wide) / 2 + across
    new_upper = upper + (lower - upper - high) / 2 + down
    box = _whole(new_left, new_upper, new_left + wide, new_upper + high)
    fits = left <= box[0] < box[2] <= right and upper <= box[1] < box[3] <= lower
    return dataclasses.replace(turns, box=box) if fits else turns


def _whole(left: Fraction, upper: Fraction, right: Fraction, lower: Fraction) -> Rectangle:
    return round(left), round(upper), round(right), round(lower)
