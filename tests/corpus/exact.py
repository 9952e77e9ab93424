"""Cropping and trimming pixel by pixel, as the contract has them: for small pictures, in exact arithmetic.

Nothing here is shared with `image_cloud.resize`, or with PIL's resampling.
"""

from __future__ import annotations

import math
from fractions import Fraction

from PIL import Image

LOBES = 3
HALF = Fraction(1, 2)
Focus = tuple[Fraction, Fraction]
Levels = tuple[int, ...]
Sum = list[tuple[int, float]]


def cropped(image: Image.Image, size: tuple[int, int], focus: Focus) -> Image.Image:
    """Fill `size` with an RGB picture, and cut what is over, as near to `focus` as that goes."""
    scale = max(Fraction(size[0], image.width), Fraction(size[1], image.height))
    columns, rows = (
        [_weights(side, scale, begin + place) for place in range(length)]
        for side, length, begin in (
            (image.width, size[0], _begin(image.width, size[0], scale, focus[0])),
            (image.height, size[1], _begin(image.height, size[1], scale, focus[1])),
        )
    )
    result = Image.new("RGB", size)
    result.putdata([_pixel(image, column, row) for row in rows for column in columns])
    return result


def trimmed(image: Image.Image, tolerance: int) -> Image.Image:
    """Cut off what is like the upper left pixel; a picture of nothing else stays."""
    corner = _levels(image, 0, 0)
    inside = [
        (x, y)
        for x in range(image.width)
        for y in range(image.height)
        if any(
            abs(one - other) > tolerance
            for one, other in zip(_levels(image, x, y), corner, strict=True)
        )
    ]
    if not inside:
        return image
    across, down = zip(*inside, strict=True)
    return image.crop((min(across), min(down), max(across) + 1, max(down) + 1))


def _begin(side: int, length: int, scale: Fraction, focus: Fraction) -> Fraction:
    """Return at which pixel of the scaled side the cut begins: a whole one, or where it ends at the edge."""
    over = side * scale - length
    return min(over, max(Fraction(0), Fraction(math.floor(focus * side * scale - length * HALF))))


def _weights(side: int, scale: Fraction, place: Fraction) -> Sum:
    """Return which pixels of a side make the one at `place` of the scaled side, and how much of each."""
    centre = (place + HALF) / scale
    width = max(Fraction(1), 1 / scale)
    parts = [(at, _lanczos((at + HALF - centre) / width)) for at in range(side)]
    whole = sum(part for _, part in parts)
    return [(at, part / whole) for at, part in parts if part]


def _lanczos(x: Fraction) -> float:
    if abs(x) >= LOBES:
        return 0.0
    value = math.pi * float(x)
    return LOBES * math.sin(value) * math.sin(value / LOBES) / value**2 if value else 1.0


def _pixel(image: Image.Image, column: Sum, row: Sum) -> Levels:
    sums = [0.0, 0.0, 0.0]
    for y, down in row:
        for x, across in column:
            for band, value in enumerate(_levels(image, x, y)):
                sums[band] += value * across * down
    return tuple(min(255, max(0, math.floor(total + 0.5))) for total in sums)


def _levels(image: Image.Image, x: int, y: int) -> Levels:
    """Return a pixel's levels; what is transparent has no colour."""
    levels = image.getpixel((x, y))
    assert isinstance(levels, tuple)
    if image.mode != "RGBA":
        return levels
    return (*(math.floor(value * levels[3] / 255 + 0.5) for value in levels[:3]), levels[3])


def worst(one: Image.Image, other: Image.Image) -> int:
    """Return by how many levels two pictures of one size and mode differ at most."""
    assert (one.size, one.mode) == (other.size, other.mode)
    return max(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True))
