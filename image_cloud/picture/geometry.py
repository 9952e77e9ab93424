"""Sizes: from the upright original and a recipe to the pixels that a variant has."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from image_cloud.errors import BadParameter, TooManyPixels
from image_cloud.picture.variant import NEED_BOTH_SIDES, WHOLE, Focus, Recipe

MOST_SIDE_PX = {
    "jpeg": 65500,  # libjpeg's own limit, a little below the format's 65535
    "webp": 16383,
    "gif": 65535,
    "avif": 65535,
}
ANY_SIDE_PX = 2**31 - 1
MIRRORED_ACROSS, MIRRORED_DOWN, TRANSPOSED = (2, 3, 6, 7), (3, 4, 7, 8), 5
"""What the EXIF orientations undo: first the mirroring, then, from 5 on, rows and columns exchanged."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def turned(self, orientation: int) -> Size:
        """Return the size after the EXIF `orientation` (or its reverse) was applied."""
        return Size(self.height, self.width) if orientation >= 5 else self


class Box(NamedTuple):
    """A part of a picture: its edges in pixels from the upper left corner, perhaps between two pixels."""

    left: float
    upper: float
    right: float
    lower: float

    @property
    def width(self) -> float:
        """Return how wide it is."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Return how high it is."""
        return self.lower - self.upper

    def stored(self, orientation: int, upright: Size) -> Box:
        """Return where this part of an `upright` picture lies before the EXIF `orientation` is applied."""
        left, upper, right, lower = self
        if orientation in MIRRORED_ACROSS:
            left, right = upright.width - right, upright.width - left
        if orientation in MIRRORED_DOWN:
            upper, lower = upright.height - lower, upright.height - upper
        if orientation >= TRANSPOSED:
            left, upper, right, lower = upper, left, lower, right
        return Box(left, upper, right, lower)


ANY_SIZE = Size(ANY_SIDE_PX, ANY_SIDE_PX)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which part of the upright original is drawn, how large, and how large the canvas is under it.

    At the same scale the whole original has the size `whole`.
    """

    part: Box
    whole: tuple[float, float]
    picture: Size
    canvas: Size

    @property
    def corner(self) -> tuple[int, int]:
        """Return where the picture's upper left corner lies on the canvas."""
        return (
            (self.canvas.width - self.picture.width) // 2,
            (self.canvas.height - self.picture.height) // 2,
        )


def layout(original: Size, recipe: Recipe, max_pixels: int = ANY_SIDE_PX) -> Layout:
    """Compute a variant's sizes from the upright original's; refuse what cannot be written.

    Where the recipe trims, `original` is what is left of it.
    """
    asked = Size(recipe.width, recipe.height)
    if recipe.mode == "crop":
        _check(asked, recipe, max_pixels)
        part = cropped(original, asked, recipe.focus)
        return Layout(part, filling(original, asked), asked, asked)
    if recipe.mode == "stretch":
        picture = canvas = Size(recipe.width or original.width, recipe.height or original.height)
    else:
        picture = fit(original, recipe.width, recipe.height, recipe.enlarge)
        canvas = asked if recipe.mode == "pad" else picture
    _check(canvas, recipe, max_pixels)
    return Layout(Box(0, 0, *original), picture, picture, canvas)


def most(original: Size, recipe: Recipe) -> Size:
    """Return sides that no variant goes past, whatever is trimmed from the upright original."""
    if recipe.mode in NEED_BOTH_SIDES:
        return Size(recipe.width, recipe.height)
    if recipe.mode == "stretch":
        return Size(recipe.width or original.width, recipe.height or original.height)
    if recipe.enlarge:
        return Size(recipe.width or ANY_SIDE_PX, recipe.height or ANY_SIDE_PX)
    sides = zip(original, (recipe.width, recipe.height), strict=True)
    return Size(*(min(side, asked or side) for side, asked in sides))


def filling(original: Size, size: Size) -> tuple[float, float]:
    """Return the least size of the original's shape, in parts of pixels too, that covers `size`."""
    (wide, high), (width, height) = original, size
    if width * high < height * wide:
        return wide * height / high, height
    return width, high * width / wide


def cropped(original: Size, size: Size, focus: Focus) -> Box:
    """Return the largest part of the original that has the shape of `size`, as near `focus` as it goes."""
    (wide, high), (width, height) = original, size
    if width * high < height * wide:  # cut at the left and right
        left, right = _kept(wide, width, (height, high), focus.x)
        return Box(left, 0, right, high)
    upper, lower = _kept(high, height, (width, wide), focus.y)
    return Box(0, upper, wide, lower)


def _kept(side: int, length: int, scale: tuple[int, int], focus: int) -> tuple[float, float]:
    """Return from where to where a side is kept that is scaled by a fraction, then cut to `length`.

    The cut begins at a whole pixel of the scaled side, rounded down, unless that goes past its end.
    """
    up, down = scale
    begin = (2 * focus * side * up - WHOLE * length * down) // (2 * WHOLE * down)
    if begin * down >= side * up - length * down:
        return (side * up - length * down) / up, side
    begin = max(0, begin)
    return begin * down / up, (begin + length) * down / up


def fit(original: Size, width: int, height: int, enlarge: bool) -> Size:
    """Return the largest size of the original's shape inside the box; a side of 0 is open.

    Rounded half up, at least 1 px.  Without `enlarge` never larger than the original.
    """
    wide, high = original
    if not enlarge and (not width or wide <= width) and (not height or high <= height):
        return original
    if not height or (width and width * high <= height * wide):
        return Size(width, max(1, half_up(high * width, wide)))
    return Size(max(1, half_up(wide * height, high)), height)


def half_up(dividend: int, divisor: int) -> int:
    """Divide and round to the nearest whole number, halves up."""
    return (2 * dividend + divisor) // (2 * divisor)


def _check(canvas: Size, recipe: Recipe, max_pixels: int) -> None:
    limit_px = MOST_SIDE_PX.get(recipe.format, ANY_SIDE_PX)
    if max(canvas) > limit_px:
        raise BadParameter(
            f"The resized picture would have {canvas.width} x {canvas.height} pixels;"
            f" {recipe.format} allows {limit_px} a side."
        )
    if canvas.width * canvas.height > max_pixels:
        raise TooManyPixels(
            f"The resized picture would have {canvas.width} x {canvas.height} pixels;"
            f" {max_pixels} are allowed."
        )
