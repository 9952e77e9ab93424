"""BMP, TIFF and ICO: what their headers say."""

from __future__ import annotations

import struct

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

BMP_BITS = (1, 2, 4, 8, 16, 24, 32)
BMP_COMPRESSED_FROM = 40
"""Shorter headers say nothing of compression."""
MOST_TAGS = 4096
WIDTH_TAG, HEIGHT_TAG = 256, 257
SHORT_TYPE = 3
MOST_ICONS = 1000


def bmp_size(data: Data) -> Size:
    """Return width and height of a BMP, which may stand on its head."""
    width, height = _unpack("<HH" if number(data, 14, 4, "little") == 12 else "<ii", data, 18)
    return width, abs(height)


def find_bmp_end(data: Data) -> None:
    """Compare a BMP with the rows that it declares, where these are not compressed."""
    first_row, header = _unpack("<II", data, 10)
    width, height, _, bits = _unpack("<HHHH" if header == 12 else "<iiHH", data, 18)
    compression = number(data, 30, 4, "little") if header >= BMP_COMPRESSED_FROM else 0
    if width <= 0 or not height or bits not in BMP_BITS or compression not in (0, 3, 6):
        raise Malformed
    row_bytes = (width * bits + 31) // 32 * 4
    # The padding of the last row may be missing.
    if first_row + row_bytes * abs(height) - 3 > len(data):
        raise CutOff


def tiff_size(data: Data) -> Size:
    """Return width and height of a TIFF's first directory."""
    order, is_big, at = _tiff_start(data)
    (count,) = _unpack(order + ("Q" if is_big else "H"), data, at)
    entry = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))
    at += 8 if is_big else 2
    entries = data[at : at + entry.size * min(count, MOST_TAGS)]
    sides = {}
    for tag, kind, _, value in entry.iter_unpack(
        entries[: len(entries) // entry.size * entry.size]
    ):
        if tag in (WIDTH_TAG, HEIGHT_TAG):
            (sides[tag],) = struct.unpack_from(order + ("H" if kind == SHORT_TYPE else "I"), value)
    return sides[WIDTH_TAG], sides[HEIGHT_TAG]


def find_tiff_end(data: Data) -> None:
    """Find a TIFF's first directory; where its rows end is known to the decoder alone."""
    *_, at = _tiff_start(data)
    if at + 2 > len(data):
        raise CutOff


def ico_size(data: Data) -> Size:
    """Return the size of the largest icon."""
    places = range(6, 6 + 16 * min(number(data, 4, 2, "little"), MOST_ICONS), 16)
    return max((data[at] or 256, data[at + 1] or 256) for at in places)


def find_ico_end(data: Data) -> None:
    """Look for all icons."""
    for place in range(min(number(data, 4, 2, "little"), MOST_ICONS)):
        length, offset = _unpack("<II", data, 6 + 16 * place + 8)
        if offset + length > len(data):
            raise CutOff


def _tiff_start(data: Data) -> tuple[str, bool, int]:
    """Return the byte order, whether it is a BigTIFF, and where the first directory stands."""
    order = "<" if data[:1] == b"I" else ">"
    is_big = b"+" in data[2:4]
    (at,) = _unpack(order + "Q", data, 8) if is_big else _unpack(order + "I", data, 4)
    return order, is_big, at


def _unpack(form: str, data: Data, at: int) -> tuple[int, ...]:
    field = data[at : at + struct.calcsize(form)]
    if len(field) < struct.calcsize(form):
        raise CutOff
    return struct.unpack(form, field)
