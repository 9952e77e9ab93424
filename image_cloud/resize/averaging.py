"""Averages a large picture down while it is read, strip by strip: it is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from image_cloud.picture.geometry import Size
from image_cloud.resize import colour

GAP = 3.0
"""A picture is averaged down to this many times the wanted size, and resampled from there."""
STRIP_PIXELS = 1 << 20
IN_STRIPS = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "LAB", "RGBX", "La", "RGBa"}
)
"""Modes whose pixels mean the same without the others."""

Factors = tuple[int, int]
"""How many columns and rows become one."""
Goal = Callable[[Size, int], Factors]
"""Tells the factors for a picture of this size, as it lies in the file, and this orientation."""
WHOLE: Factors = (1, 1)
Target = tuple[float, float]
"""A wanted width and height, perhaps in parts of pixels."""
Box = tuple[float, float, float, float]
"""Left, upper, right, lower."""


class Averaged(NamedTuple):
    """A picture in a mode that can be resampled; `box` is the part that it fills."""

    image: Image.Image
    box: Box


def factors(size: Size, targets: Sequence[Target]) -> Factors:
    """Return by how much a picture of `size` may be averaged down for the largest of `targets`."""
    wide = max(target[0] for target in targets)
    high = max(target[1] for target in targets)
    return int(size.width / wide / GAP) or 1, int(size.height / high / GAP) or 1


def reduced_size(size: tuple[int, int], by: Factors) -> Size:
    """Return the size in whole pixels; the last column and row may stand for less than the others."""
    return Size(-(-size[0] // by[0]), -(-size[1] // by[1]))


def rows_of_strip(width: int, by: Factors) -> int:
    """Return how many rows of a picture of `width` make a strip."""
    return by[1] * max(1, STRIP_PIXELS // (width * by[1]))


def in_strips(image: Image.Image, by: Factors) -> Iterator[Image.Image]:
    """Yield a loaded picture in strips."""
    rows = rows_of_strip(image.width, by)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def averaged(
    strips: Iterable[Image.Image],
    size: tuple[int, int],
    by: Factors,
    depth: int = 8,
    icc: bytes = b"",
) -> Averaged:
    """Return the picture of `size` that the strips make up.

    All strips but the last have a multiple of `by`'s rows; `depth` and `icc` are as of `colour.expanded`.
    """
    target: Image.Image | None = None
    top = 0
    for strip in strips:
        small = colour.premultiplied(strip, depth, icc).reduce(by)
        target = target or Image.new(small.mode, reduced_size(size, by))
        target.paste(small, (0, top))
        top += small.height
    assert target
    return Averaged(colour.without_idle_alpha(target), (0, 0, size[0] / by[0], size[1] / by[1]))


def expanded(image: Image.Image, by: Factors, depth: int, icc: bytes) -> Averaged:
    """Return a loaded picture, averaged down where that goes in strips."""
    if by == WHOLE or image.mode not in IN_STRIPS:
        return Averaged(colour.expanded(image, depth, icc), (0, 0, *image.size))
    return averaged(in_strips(image, by), image.size, by, depth, icc)
