"""The header of a BMP: OS/2's of 12, 16 and 64 bytes, and Windows' of 40 to 124."""

from __future__ import annotations

import dataclasses
import struct

from image_cloud.picture.structure.data import Data, Size

FILE_HEADER_BYTES = 14
CORE, INFO, V2, V3, V4, V5 = 12, 40, 52, 56, 108, 124
RAW, RUNS_8, RUNS_4, BITFIELDS, RUNS_24, ALPHA_BITFIELDS = 0, 1, 2, 3, 4, 6
MASKED = (BITFIELDS, ALPHA_BITFIELDS)
MASKED_BITS = (16, 32)
MOST_COLOURS = 256
EMBEDDED_PROFILE = b"DEBM"

Masks = tuple[int, int, int, int]
NO_MASKS: Masks = (0, 0, 0, 0)
DEFAULT_MASKS: dict[int, Masks] = {
    16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0x00FF00, 0x0000FF, 0),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Header:
    """What a BMP says of its rows, which begin at the offset `start`.

    `masks` are those of red, green, blue and alpha, of use for 16 and 32 bits a pixel.  `palette` has
    256 colours, each as red, green, blue; those that the file lacks are black.  `icc` is empty without
    a profile.
    """

    size: Size
    is_top_down: bool
    bits: int
    compression: int
    start: int
    masks: Masks
    palette: bytes
    icc: bytes


def read_header(data: Data) -> Header:
    """Read the header.  Raises struct.error where the file ends within it."""
    start, length = struct.unpack_from("<II", data, FILE_HEADER_BYTES - 4)
    width, height, bits = _dimensions(data, length)
    compression, colours = RAW, 0
    if length >= INFO:
        (compression,) = struct.unpack_from("<I", data, 30)
        (colours,) = struct.unpack_from("<I", data, 46)
    masks, masks_bytes = _masks(data, length, bits, compression)
    palette_at = FILE_HEADER_BYTES + length + masks_bytes
    entries, entry_bytes = _entries(bits, colours), 3 if length == CORE else 4
    rows_at = palette_at + entries * entry_bytes
    palette = _palette(data[palette_at:rows_at], entry_bytes)
    start = start if start >= palette_at else rows_at
    return Header(
        (width, abs(height)), height < 0, bits, compression, start, masks, palette,
        _profile(data, length),
    )  # fmt: skip


def _dimensions(data: Data, length: int) -> tuple[int, int, int]:
    form = "<HHHH" if length == CORE else "<iiHH"
    width, height, _, bits = struct.unpack_from(form, data, FILE_HEADER_BYTES + 4)
    return width, height, bits


def _masks(data: Data, length: int, bits: int, compression: int) -> tuple[Masks, int]:
    """Return the masks, and how many bytes of them stand behind the header."""
    count = _masks_count(length, compression)
    told = struct.unpack_from(f"<{count}I", data, FILE_HEADER_BYTES + INFO)
    red, green, blue, alpha = (*told, 0, 0, 0, 0)[:4]
    # The alpha mask of a long header counts without any compression, too.
    counts = compression in MASKED or (length >= V4 and bits == 32 and alpha)
    masks = (red, green, blue, alpha) if count and counts else DEFAULT_MASKS.get(bits, NO_MASKS)
    return masks, 4 * count if length == INFO else 0


def _masks_count(length: int, compression: int) -> int:
    if length == INFO:
        return {BITFIELDS: 3, ALPHA_BITFIELDS: 4}.get(compression, 0)
    return {V2: 3, V3: 4, V4: 4, V5: 4}.get(length, 0)


def _entries(bits: int, colours: int) -> int:
    """Return how many colours the palette has; some files say more than there can be."""
    most = 1 << bits if bits <= 8 else MOST_COLOURS if colours else 0
    return min(colours or most, most)


def _palette(data: bytes, entry_bytes: int) -> bytes:
    palette = bytearray(3 * MOST_COLOURS)
    for channel in range(3):
        values = data[2 - channel :: entry_bytes]
        palette[channel : 3 * len(values) : 3] = values
    return bytes(palette)


def _profile(data: Data, length: int) -> bytes:
    if length < V5 or data[70:74] != EMBEDDED_PROFILE:
        return b""
    offset, count = struct.unpack_from("<II", data, FILE_HEADER_BYTES + 112)
    return data[FILE_HEADER_BYTES + offset : FILE_HEADER_BYTES + offset + count]
