"""How large a picture is, as its header says; nothing is decoded."""

from __future__ import annotations

import logging
from typing import BinaryIO

import imagesize

from image_cloud.picture import heif
from image_cloud.picture.formats import Format

log = logging.getLogger(__name__)

Dimensions = tuple[int | None, int | None]
UNKNOWN: Dimensions = (None, None)
LARGEST = 2**31 - 1  # of the catalogue's columns


def dimensions(file: BinaryIO, size: int, format: Format) -> Dimensions:
    """Return width and height in pixels of `file`, `size` bytes long, without EXIF's orientation.

    AVIF and HEIC are as their own boxes crop and turn them, which is part of what they are.
    Both are None where the header does not tell them.  The file's position is lost.
    """
    try:
        width, height = _measured(file, size, format)
    except Exception as error:  # a hostile header: the record goes without
        log.debug("event=no_dimensions error=%s", type(error).__name__)
        return UNKNOWN
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        return UNKNOWN
    return int(width), int(height)


def _measured(file: BinaryIO, size: int, format: Format) -> tuple[int, int]:
    if format.is_heif:
        return heif.read(file, size).size
    file.seek(0)
    width, height = imagesize.get(file, exif_rotation=False)
    return width, height
