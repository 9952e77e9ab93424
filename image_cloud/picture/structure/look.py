"""What the structure of a picture's file says: how large it is, and whether the file is all there."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

from image_cloud.picture import heif
from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure import bitmaps, gif, jpeg, jpeg2000, png, webp
from image_cloud.picture.structure.data import Data, Size, bytes_of

LARGEST_PX = 2**31 - 1  # of the catalogue's columns
ODD = (Malformed, struct.error, LookupError)
HEIF = frozenset({"avif", "heic"})


def size_of(file: BinaryIO, name: str) -> Size | None:
    """Return width and height of `file`, a picture of the format `name`, before EXIF turns it.

    AVIF and HEIC are as their own boxes crop and turn them, which is part of what they are.
    None where the header does not tell.  The file's position is lost.
    """
    try:
        width, height = _size(file, name)
    except ODD:
        return None
    is_possible = 0 < width <= LARGEST_PX and 0 < height <= LARGEST_PX
    return (width, height) if is_possible else None


def is_whole(file: BinaryIO, name: str) -> bool:
    """Tell whether `file`, a picture of the format `name`, reaches its structure's end.

    False means plainly cut off.  True means whole as far as a look at the structure can tell: what does
    not parse is for the decoder to judge.  The file's position is lost.
    """
    try:
        _find_end(file, name)
    except CutOff:
        return False
    except ODD:
        return True
    return True


def _size(file: BinaryIO, name: str) -> Size:
    if name in HEIF:
        return heif.read(file, file.seek(0, io.SEEK_END)).size
    with bytes_of(file) as data:
        return SIZES[name](data)


def _find_end(file: BinaryIO, name: str) -> None:
    """Look for the end of the structure; in HEIF what lies behind the shown picture does not matter."""
    if name in HEIF:
        count_bytes = file.seek(0, io.SEEK_END)
        if not heif.read(file, count_bytes).is_here(count_bytes):
            raise CutOff
        return
    with bytes_of(file) as data:
        ENDINGS[name](data)


SIZES: dict[str, Callable[[Data], Size]] = {
    "jpeg": jpeg.size_of, "png": png.size_of, "webp": webp.size_of, "gif": gif.size_of,
    "bmp": bitmaps.bmp_size, "tiff": bitmaps.tiff_size, "ico": bitmaps.ico_size,
    "jpeg2000": jpeg2000.size_of,
}  # fmt: skip
ENDINGS: dict[str, Callable[[Data], None]] = {
    "jpeg": jpeg.find_end, "png": png.find_end, "webp": webp.find_end, "gif": gif.find_end,
    "bmp": bitmaps.find_bmp_end, "tiff": bitmaps.find_tiff_end, "ico": bitmaps.find_ico_end,
    "jpeg2000": jpeg2000.find_end,
}  # fmt: skip
"""Each raises CutOff where the file ends before its structure does."""
