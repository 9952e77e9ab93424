"""Take pixels apart whose colours are fields of bits."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image, ImageMath

from image_cloud.errors import CorruptImage
from image_cloud.picture.structure.data import Size
from image_cloud.resize.readers.bmp.header import Masks

STRIP_PIXELS = 1 << 18
"""So many are taken apart at once: it takes 4 bytes a pixel several times over."""
FORMS = {16: ("I;16", "I;16"), 32: ("I", "I;32")}
"""What PIL makes of 16 and 32 bits a pixel, and what it calls them."""
EXACT_BITS = 8


class _Field(NamedTuple):
    shift: int
    most: int


def separated(rows: bytes, size: Size, stride: int, bits: int, masks: Masks) -> Image.Image:
    """Return rows of pixels as RGB, with an alpha mask as RGBA.  Raises CorruptImage for a mask with gaps."""
    fields = [_field(mask) for mask in (masks if masks[3] else masks[:3])]
    mode = "RGBA" if masks[3] else "RGB"
    width, height = size
    image = Image.new(mode, size)
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        strip_size = (width, min(step, height - top))
        part = rows[top * stride : (top + strip_size[1]) * stride]
        strip = Image.frombytes(FORMS[bits][0], strip_size, part, "raw", FORMS[bits][1], stride)
        bands = [_band(strip.convert("I"), field) for field in fields]
        image.paste(Image.merge(mode, bands), (0, top))
    return image


def _field(mask: int) -> _Field:
    """Return where a field stands, and its largest value; of more than 8 bits the highest count."""
    if not mask:
        return _Field(0, 0)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    if most & most + 1:
        raise CorruptImage("The bmp cannot be decoded.")
    too_many = max(0, most.bit_length() - EXACT_BITS)
    return _Field(shift + too_many, most >> too_many)


def _band(pixels: Image.Image, field: _Field) -> Image.Image:
    shift, most = field
    if not most:
        return Image.new("L", pixels.size)
    values = ImageMath.lambda_eval(
        lambda part: ((part["pixels"] >> shift & most) * 255 + most // 2) / most, pixels=pixels
    )
    return Image.Image.convert(values, "L")
