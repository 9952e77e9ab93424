"""How large a picture is, as its header says; nothing is decoded."""

from __future__ import annotations

import logging
from typing import BinaryIO

import imagesize

log = logging.getLogger(__name__)

Dimensions = tuple[int | None, int | None]
UNKNOWN: Dimensions = (None, None)
LARGEST = 2**31 - 1  # of the catalogue's columns


def dimensions(file: BinaryIO) -> Dimensions:
    """Return width and height in pixels, as stored, without EXIF's orientation.

    Both are None where the header does not tell them.  The file's position is lost.
    """
    try:
        file.seek(0)
        width, height = imagesize.get(file, exif_rotation=False)
    except Exception as error:  # a hostile header: the record goes without
        log.debug("event=no_dimensions error=%s", type(error).__name__)
        return UNKNOWN
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        return UNKNOWN
    return int(width), int(height)
