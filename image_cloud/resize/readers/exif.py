"""Reads the orientation, and nothing else, from EXIF."""

from __future__ import annotations

import struct
from typing import Literal

MARK = b"Exif\0"
TAG, SHORT, UPRIGHT = 0x0112, 3, 1
ENTRIES = {b"II*\0": struct.Struct("<HHIH2x"), b"MM\0*": struct.Struct(">HHIH2x")}


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, of an EXIF block with or without its mark; 1 if there is none."""
    tiff = exif[6:] if exif.startswith(MARK) else exif
    entry = ENTRIES.get(tiff[:4])
    if entry is None:
        return UPRIGHT
    order: Literal["little", "big"] = "little" if tiff[:1] == b"I" else "big"
    at = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[at : at + 2], order)
    entries = tiff[at + 2 : at + 2 + entry.size * count]
    for tag, kind, values, value in entry.iter_unpack(entries[: len(entries) // 12 * 12]):
        if tag == TAG:
            return value if kind == SHORT and values == 1 and value in range(1, 9) else UPRIGHT
    return UPRIGHT
