"""Cuts a uniform border off a decoded picture."""

from __future__ import annotations

import dataclasses
import math

from PIL import Image

from image_cloud.picture.geometry import Box, Size
from image_cloud.resize.decode import Decoded

STRIP_PIXELS = 1 << 20
"""As many are compared at once: the comparison takes as much memory as they do."""

Rectangle = tuple[int, int, int, int]


def trimmed(decoded: Decoded, tolerance: int) -> Decoded:
    """Return the picture without its border, as it is where it has none or consists of nothing else.

    Border is what differs by at most `tolerance` in each channel from the upper left pixel of the upright
    picture.  Channels are the file's own in 8 bits, weighted with alpha: what is transparent has no colour.
    """
    whole = _whole(decoded.box)
    shown = decoded.image.crop(whole) if whole != (0, 0, *decoded.image.size) else decoded.image
    found = _content(shown, _corner(decoded.orientation, shown.size), tolerance)
    if found is None or found == (0, 0, *shown.size):
        return decoded
    # The last column and row of a scaled JPEG may reach past the original.
    left, upper, right, lower = decoded.box
    box = Box(0, 0, min(found[2], right - left) - found[0], min(found[3], lower - upper) - found[1])
    return dataclasses.replace(
        decoded, image=shown.crop(found), original=_size(decoded, box), box=box
    )


def _whole(box: Box) -> Rectangle:
    return math.floor(box.left), math.floor(box.upper), math.ceil(box.right), math.ceil(box.lower)


def _corner(orientation: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return which pixel becomes the upper left one."""
    upright = Size(*size).turned(orientation)
    pixel = Box(0, 0, 1, 1).stored(orientation, upright)
    return int(pixel.left), int(pixel.upper)


def _content(image: Image.Image, corner: tuple[int, int], tolerance: int) -> Rectangle | None:
    """Return the smallest rectangle around all pixels that are not border, None where there are none."""
    colour = image.getpixel(corner)
    parts = colour if isinstance(colour, tuple) else (colour,)
    differs = [
        255 * (abs(value - int(part or 0)) > tolerance) for part in parts for value in range(256)
    ]
    rows = max(1, STRIP_PIXELS // image.width)
    found: list[Rectangle] = []
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if box := strip.point(differs).getbbox(alpha_only=False):
            found.append((box[0], box[1] + top, box[2], box[3] + top))
    if not found:
        return None
    lefts, uppers, rights, lowers = zip(*found, strict=True)
    return min(lefts), min(uppers), max(rights), max(lowers)


def _size(decoded: Decoded, box: Box) -> Size:
    """Return how large a part of the decoded picture is upright, in the original's pixels."""
    stored = decoded.original.turned(decoded.orientation)
    shown = decoded.box
    width = math.floor(box.width * stored.width / shown.width + 0.5)
    height = math.floor(box.height * stored.height / shown.height + 0.5)
    return Size(max(1, width), max(1, height)).turned(decoded.orientation)
