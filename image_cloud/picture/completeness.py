"""Tell whether a picture's file was cut off, from its structure and without decoding it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

from image_cloud.picture import heif

MOST_STEPS = 100_000
"""A walk over more parts than this stops and leaves the judgement to the decoder."""
BLOCK_BYTES = 1 << 20
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
BMP_BITS = (1, 4, 8, 16, 24, 32)
JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


class Odd(Exception):
    """The structure does not parse."""


class Cut(Exception):
    """The file ends before its structure does."""


def is_complete(file: BinaryIO, size: int, name: str) -> bool:
    """Tell whether `file` (`size` bytes, of the format `name`) reaches its structure's end."""
    try:
        CHECKS.get(name, _anything)(file, size)
    except Cut:
        return False
    except (Odd, struct.error, ValueError, OverflowError, OSError):
        return True
    return True


def gif_images(file: BinaryIO, most: int = MOST_STEPS) -> int:
    """Count a GIF's images, up to `most` and as far as they are there whole."""
    found = 0
    try:
        _gif_start(file)
        while found < most and (kind := _gif_block(file)) != b";":
            found += kind == b","
    except (Odd, Cut, struct.error):
        pass
    return found


def _anything(file: BinaryIO, size: int) -> None:
    """Accept a file of whose structure nothing is known."""


def _take(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise Cut
    return data


def _number(file: BinaryIO, form: str) -> int:
    (value,) = struct.unpack(form, _take(file, struct.calcsize(form)))
    return int(value)


def _tail(file: BinaryIO, size: int, count: int) -> bytes:
    file.seek(max(0, size - count))
    return file.read(count)


# --- JPEG ----------------------------------------------------------------------------------------


def _jpeg(file: BinaryIO, size: int) -> None:
    """Find the end marker behind the first scan; one before it is an EXIF thumbnail's."""
    scan = _jpeg_first_scan(file, size)
    if _tail(file, size, 2) == b"\xff\xd9":
        return
    end = size
    while end > scan:
        start = max(scan, end - BLOCK_BYTES)
        file.seek(start)
        # One byte more than the block: the marker may lie across its end.
        if b"\xff\xd9" in file.read(end - start + 1):
            return
        end = start
    raise Cut


def _jpeg_first_scan(file: BinaryIO, size: int) -> int:
    """Return the offset of the first scan's data."""
    file.seek(2)
    for _ in range(MOST_STEPS):
        if _take(file, 1) != b"\xff":
            raise Odd
        marker = _number(file, "B")
        while marker == 0xFF:
            marker = _number(file, "B")
        if marker in JPEG_STANDALONE:
            continue
        length = _number(file, ">H")
        if marker in (0x00, 0xD9) or length < 2:
            raise Odd
        file.seek(length - 2, os.SEEK_CUR)
        if marker == 0xDA:
            if file.tell() >= size:
                raise Cut
            return file.tell()
    raise Odd


# --- PNG -----------------------------------------------------------------------------------------


def _png(file: BinaryIO, size: int) -> None:
    if _tail(file, size, len(PNG_END)) == PNG_END:
        return
    at = 8
    for _ in range(MOST_STEPS):
        file.seek(at)
        length, kind = _number(file, ">I"), _take(file, 4)
        if not kind.isalpha():
            raise Odd
        at += 12 + length
        # Some writers leave the last checksum out.
        if kind == b"IEND" and at - 4 <= size:
            return
        if at > size:
            raise Cut


# --- WebP, BMP, TIFF, ICO ------------------------------------------------------------------------


def _webp(file: BinaryIO, size: int) -> None:
    file.seek(4)
    length = _number(file, "<I")
    if 8 + length - length % 2 > size:
        raise Cut


def _bmp(file: BinaryIO, size: int) -> None:
    """Compare the file with its declared rows, where these are not compressed."""
    file.seek(10)
    first_row, header = struct.unpack("<II", _take(file, 8))
    form = "<HHHH" if header == 12 else "<iiHHI"
    fields = struct.unpack(form, _take(file, struct.calcsize(form)))
    width, height, _, bits, *compression = fields
    if width <= 0 or not height or bits not in BMP_BITS or compression not in ([], [0], [3]):
        raise Odd
    row_bytes = (width * bits + 31) // 32 * 4
    # The padding of the last row may be missing.
    if first_row + row_bytes * abs(height) - 3 > size:
        raise Cut


def _tiff(file: BinaryIO, size: int) -> None:
    file.seek(0)
    head = _take(file, 8)
    order = "<" if head[:1] == b"I" else ">"
    if b"+" in head[2:4]:
        directory = _number(file, order + "Q")
    else:
        (directory,) = struct.unpack(order + "I", head[4:])
    if directory + 2 > size:
        raise Cut


def _ico(file: BinaryIO, size: int) -> None:
    file.seek(4)
    for _ in range(_number(file, "<H")):
        length, offset = struct.unpack("<8xII", _take(file, 16))
        if offset + length > size:
            raise Cut


# --- GIF -----------------------------------------------------------------------------------------


def _gif(file: BinaryIO, size: int) -> None:
    """Walk to the trailer; a file that ends between blocks after an image is whole as well."""
    if _tail(file, size, 2) == b"\0;":
        return
    _gif_start(file)
    images = 0
    for _ in range(MOST_STEPS):
        at = file.tell()
        if images and at >= size:
            return
        kind = _gif_block(file)
        if kind == b";":
            return
        images += kind == b","


def _gif_start(file: BinaryIO) -> None:
    """Go to a GIF's first block, behind the global palette."""
    file.seek(10)
    flags = _number(file, "B")
    file.seek(2 + _gif_palette_bytes(flags), os.SEEK_CUR)


def _gif_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_block(file: BinaryIO) -> bytes:
    """Go behind one block and return its kind: `,` an image, `!` an extension, `;` the end."""
    kind = _take(file, 1)
    if kind == b",":
        flags = _take(file, 9)[8]
        file.seek(_gif_palette_bytes(flags) + 1, os.SEEK_CUR)
    elif kind == b"!":
        _take(file, 1)
    elif kind == b";":
        return kind
    else:
        raise Odd
    _gif_skip_data(file)
    return kind


def _gif_skip_data(file: BinaryIO) -> None:
    for _ in range(MOST_STEPS):
        length = _number(file, "B")
        if not length:
            return
        if length > 1:
            file.seek(length - 1, os.SEEK_CUR)
        _take(file, 1)
    raise Odd


# --- AVIF, HEIC, JPEG 2000 -----------------------------------------------------------------------


def _heif(file: BinaryIO, size: int) -> None:
    """Look for what the shown picture is made of; what lies behind that does not matter."""
    try:
        is_here = heif.read(file, size).is_here(size)
    except heif.CutOff as error:
        raise Cut from error
    if not is_here:
        raise Cut


def _jpeg2000(file: BinaryIO, size: int) -> None:
    file.seek(0)
    if _take(file, 2) != b"\xff\x4f":
        _boxes(file, size)


def _boxes(file: BinaryIO, size: int) -> None:
    """Walk the boxes of an ISO base media file."""
    at = 0
    for _ in range(MOST_STEPS):
        file.seek(at)
        (length,) = struct.unpack(">I4x", _take(file, 8))
        if length == 1:
            length = _number(file, ">Q")
        if length < 8:
            raise Odd  # 0: up to the file's end, wherever that is
        at += length
        if at == size:
            return
        if at > size:
            raise Cut


CHECKS: dict[str, Callable[[BinaryIO, int], None]] = {
    "jpeg": _jpeg, "png": _png, "webp": _webp, "gif": _gif, "bmp": _bmp, "tiff": _tiff,
    "avif": _heif, "heic": _heif, "jpeg2000": _jpeg2000, "ico": _ico,
}  # fmt: skip
