"""Sizes: from the upright original and a recipe to the pixels that a variant has."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from image_cloud.errors import BadParameter, TooManyPixels
from image_cloud.picture.variant import Recipe

MOST_SIDE_PX = {
    "jpeg": 65500,  # libjpeg's own limit, a little below the format's 65535
    "webp": 16383,
    "gif": 65535,
    "avif": 65535,
}
ANY_SIDE_PX = 2**31 - 1


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def turned(self, orientation: int) -> Size:
        """Return the size after the EXIF `orientation` (or its reverse) was applied."""
        return Size(self.height, self.width) if orientation >= 5 else self


@dataclasses.dataclass(frozen=True)
class Layout:
    """How large the picture is drawn, and how large the canvas is that it is centred on."""

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
    """Compute a variant's sizes from the upright original's; refuse what cannot be written."""
    if recipe.mode == "stretch":
        picture = canvas = Size(recipe.width or original.width, recipe.height or original.height)
    else:
        picture = fit(original, recipe.width, recipe.height, recipe.enlarge)
        canvas = Size(recipe.width, recipe.height) if recipe.mode == "pad" else picture
    _check(canvas, recipe, max_pixels)
    return Layout(picture, canvas)


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
