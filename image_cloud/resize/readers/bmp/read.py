"""The picture of a BMP."""

from __future__ import annotations

import struct

from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import CorruptImage, TruncatedImage
from image_cloud.picture.structure.data import Data, Size
from image_cloud.resize import bounds
from image_cloud.resize.averaging import Goal
from image_cloud.resize.readers.bmp.fields import separated
from image_cloud.resize.readers.bmp.header import (
    MASKED,
    MASKED_BITS,
    RAW,
    RUNS_4,
    RUNS_8,
    RUNS_24,
    Header,
    read_header,
)
from image_cloud.resize.readers.bmp.runs import Runs
from image_cloud.resize.readers.drawing import MOST_MISSING, Drawn, filled
from image_cloud.resize.readers.frame import Frame

INDEXED = {1: "P;1", 2: "P;2", 4: "P;4", 8: "P"}
DIRECT = {
    (16, (0x7C00, 0x03E0, 0x001F, 0)): ("RGB", "BGR;15"),
    (16, (0xF800, 0x07E0, 0x001F, 0)): ("RGB", "BGR;16"),
    (32, (0xFF0000, 0x00FF00, 0x0000FF, 0)): ("RGB", "BGRX"),
    (32, (0xFF0000, 0x00FF00, 0x0000FF, 0xFF000000)): ("RGBA", "BGRA"),
    (32, (0x0000FF, 0x00FF00, 0xFF0000, 0xFF000000)): ("RGBA", "RGBA"),
}
"""Masks that PIL knows by themselves."""
RUN_BITS = {RUNS_8: 8, RUNS_4: 4, RUNS_24: 24}
BGR_BITS = 24
BITS = {RAW: (*INDEXED, BGR_BITS, *MASKED_BITS)} | dict.fromkeys(MASKED, (BGR_BITS, *MASKED_BITS))
"""Which bits a pixel go with which compression."""
BLACK = b"\0\0\0"


def read(data: Data, limits: Resize, _goal: Goal) -> Frame:
    """Return the picture; alpha that is zero everywhere counts as none."""
    try:
        header = read_header(data)
    except struct.error:
        raise TruncatedImage("The bmp ends before the picture does.") from None
    if min(header.size) <= 0:
        raise CorruptImage("The bmp cannot be decoded.")
    bounds.check_pixels(header.size, limits)
    image, missing = (_from_runs if header.compression in RUN_BITS else _from_rows)(data, header)
    if not header.is_top_down:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        missing = missing and missing.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if missing:
        plain = image.convert("RGB") if image.mode == "P" else _with_alpha(image)
        return Frame(filled(plain, missing, from_above=False), icc=header.icc)
    return Frame(_with_alpha(image), icc=header.icc)


# Images and masks have their rows in the file's order up to here.


def _from_rows(data: Data, header: Header) -> Drawn:
    if header.bits not in BITS.get(header.compression, ()):
        raise CorruptImage("The bmp cannot be decoded.")
    width, height = header.size
    stride = (width * header.bits + 31) // 32 * 4
    rows = data[header.start : header.start + stride * height]
    full, rest = divmod(len(rows), stride)
    missing = _missing(header.size, full * width + min(rest * 8 // header.bits, width))
    return Drawn(_image(rows.ljust(stride * height, b"\0"), stride, header), missing)


def _image(rows: bytes, stride: int, header: Header) -> Image.Image:
    if header.bits in INDEXED:
        return _coloured(rows, stride, INDEXED[header.bits], header)
    direct = DIRECT.get((header.bits, header.masks))
    if not direct and header.bits != BGR_BITS:
        return separated(rows, header.size, stride, header.bits, header.masks)
    mode, rawmode = direct or ("RGB", "BGR")
    return Image.frombytes(mode, header.size, rows, "raw", rawmode, stride)


def _from_runs(data: Data, header: Header) -> Drawn:
    bits = RUN_BITS[header.compression]
    if bits != header.bits:
        raise CorruptImage("The bmp cannot be decoded.")
    runs = Runs(data[header.start :], header.size, bits, blank=_black(header.palette))
    runs.unpack()
    missing, pixels = _missing(header.size, runs.drawn), bytes(runs.pixels)
    if bits == BGR_BITS:
        return Drawn(Image.frombytes("RGB", header.size, pixels, "raw", "BGR"), missing)
    return Drawn(_coloured(pixels, header.size[0], "P", header), missing)


def _black(palette: bytes) -> int:
    """Return the first entry that is black; 0 where there is none."""
    entries = range(0, len(palette), 3)
    return next((at // 3 for at in entries if palette[at : at + 3] == BLACK), 0)


def _coloured(rows: bytes, stride: int, rawmode: str, header: Header) -> Image.Image:
    image = Image.frombytes("P", header.size, rows, "raw", rawmode, stride)
    palette = header.palette
    image.putpalette(palette)
    is_grey = palette[0::3] == palette[1::3] == palette[2::3]
    return image.convert("L") if is_grey else image  # a fourth of what it takes in full colours


def _missing(size: Size, drawn: int) -> Image.Image | None:
    """Return a mask of the pixels behind the first `drawn`.  Raises TruncatedImage for too many."""
    width, height = size
    if drawn == width * height:
        return None
    if width * height - drawn > MOST_MISSING * width * height:
        raise TruncatedImage("The bmp ends before the picture does.")
    mask = Image.new("L", size)
    full, rest = divmod(drawn, width)
    mask.paste(255, (rest, full, width, full + 1))
    mask.paste(255, (0, full + 1, width, height))
    return mask


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    return image
