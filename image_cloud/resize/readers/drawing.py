"""Decodes as much as there is, and finds the pixels missing at the end of a stream.

PIL's decoders draw rows in place, so that those that came stay when the data end.  Drawn twice over
canvases of different colours, a pixel that differs is one that was never drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, ImageChops, ImageMath

from image_cloud.errors import CorruptImage, TruncatedImage
from image_cloud.picture.structure.data import Size

MOST_MISSING = 0.02
"""The share of a picture's rows that may be missing at its end."""
FULL = {"1": 1, "I;16": 0xFFFF}
NOT_ENOUGH = "not enough"

Draw = Callable[[Image.Image], None]
"""Draws on an image in place; raises ValueError where the data end too soon or are broken."""


class Drawn(NamedTuple):
    """A picture, and a mask of its pixels that were not drawn; None where all were."""

    image: Image.Image
    missing: Image.Image | None


def draw_all(draw: Draw, mode: str, size: Size, last_row: int, format: str) -> Drawn:
    """Draw a picture, `last_row` of it last, a file of the format `format`.

    Raises TruncatedImage or CorruptImage where more than MOST_MISSING of it is not there.
    """
    image, unlikely = Image.new(mode, size), _noise(mode, size[0])
    image.paste(unlikely, (0, last_row))
    failure = _failure(draw, image)
    # Rows are drawn from the left, so that the last byte is the last to come.
    if image.crop((0, last_row, size[0], last_row + 1)).tobytes()[-1] != unlikely.tobytes()[-1]:
        return Drawn(image, None)
    image, other = Image.new(mode, size), Image.new(mode, size, _full(mode))
    _failure(draw, image)
    _failure(draw, other)
    missing = _difference(image, other)
    count = missing.histogram()[255]
    if count > MOST_MISSING * size[0] * size[1]:
        raise _refusal(failure, format)
    return Drawn(image, missing if count else None)


def filled(image: Image.Image, missing: Image.Image | None, *, from_above: bool) -> Image.Image:
    """Return `image` (L, LA, RGB or RGBA) with its missing pixels as browsers show them.

    They are transparent; those of an interlaced picture are as the ones above.
    """
    if missing is None:
        return image
    if from_above:
        image.paste(ImageChops.offset(image, 0, 1), mask=missing)
        return image
    image = image.convert("LA" if image.mode in ("L", "LA") else "RGBA")
    image.putalpha(ImageChops.subtract(image.getchannel("A"), missing))
    return image


def _failure(draw: Draw, image: Image.Image) -> ValueError | None:
    try:
        draw(image)
    except ValueError as error:
        return error
    return None


def _refusal(failure: ValueError | None, format: str) -> Exception:
    if failure is None or NOT_ENOUGH in str(failure):
        return TruncatedImage(f"The {format} ends before the picture does.")
    return CorruptImage(f"The {format} cannot be decoded.")


def _noise(mode: str, width: int) -> Image.Image:
    """Return a row that pictures hardly have."""
    count = len(Image.new(mode, (width, 1)).tobytes())
    return Image.frombytes(mode, (width, 1), os.urandom(count))


def _full(mode: str) -> int | tuple[int, ...]:
    bands = Image.getmodebands(mode)
    return FULL.get(mode, 255) if bands == 1 else (255,) * bands


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return a mask of the pixels that differ."""
    if one.mode == "I;16":
        values = {"one": one.convert("I"), "other": other.convert("I")}
        differs = ImageMath.lambda_eval(lambda part: (part["one"] != part["other"]) * 255, **values)
        return Image.Image.convert(differs, "L")
    mask, changed = Image.new("L", one.size), ImageChops.difference(one, other)
    if changed.mode == "P":
        changed = Image.frombytes("L", changed.size, changed.tobytes())
    for band in changed.split():
        mask = ImageChops.lighter(mask, band.convert("L").point([0] + [255] * 255))
    return mask
