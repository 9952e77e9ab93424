"""A BMP, with its alpha read as browsers read it."""

from __future__ import annotations

import io
import struct

from PIL import BmpImagePlugin

from image_cloud.config.sections import Resize
from image_cloud.picture.structure.data import Data
from image_cloud.resize import bounds, colour
from image_cloud.resize.readers.frame import Frame

HEADER_AT, BITS_AT, COMPRESSION_AT, ALPHA_MASK_AT = 14, 28, 30, 66
RAW, BITFIELDS, ALPHA_BITFIELDS = 0, 3, 6
WITHOUT_MASKS, WITH_MASKS = 40, 56
LEAST_WITH_ALPHA = 108
"""Headers from this length on have an alpha mask that counts without any compression."""


def read(data: Data, limits: Resize) -> Frame:
    """Return the picture; alpha that is zero everywhere counts as none."""
    with BmpImagePlugin.BmpImageFile(io.BytesIO(_as_pil_reads_it(data))) as image:
        bounds.check_pixels(image.size, limits)
        image.load()
        plain = colour.plain(image, 8)
    if plain.mode == "RGBA" and plain.getchannel("A").getextrema() == (0, 0):
        plain = plain.convert("RGB")
    return Frame(plain)


def _as_pil_reads_it(data: Data) -> bytes:
    """Return the file, its colour masks told in the way that PIL knows."""
    header, bits, compression, mask = (
        int.from_bytes(data[at : at + count], "little")
        for at, count in ((HEADER_AT, 4), (BITS_AT, 2), (COMPRESSION_AT, 4), (ALPHA_MASK_AT, 4))
    )
    has_masks = header >= LEAST_WITH_ALPHA and bits == 32 and compression == RAW and mask
    if header == WITHOUT_MASKS and compression == ALPHA_BITFIELDS:
        header, has_masks = WITH_MASKS, True
    if not has_masks:
        return data[:]
    start, between = data[:HEADER_AT], data[HEADER_AT + 4 : COMPRESSION_AT]
    fields = struct.pack("<I", header), between, struct.pack("<I", BITFIELDS)
    return b"".join([start, *fields, data[COMPRESSION_AT + 4 :]])
