"""The ladder: what a JPEG was decoded to, kept as a small JPEG, so that the next size costs no second look
at the original.

It holds exactly what libjpeg drew at 1/2, 1/4 or 1/8, unturned and with the original's profile; a comment
tells the original's size, its orientation and the scale.  A size that the original would be decoded at that
scale for, or at a coarser one, comes out of it as it would out of the original.
"""

from __future__ import annotations

import dataclasses
import io
import re

from PIL import Image

from image_cloud.picture.geometry import Size

QUALITY = 92
WRITABLE = ("L", "RGB")
_COMMENT = re.compile(rb"image-cloud ladder (\d{1,5}) (\d{1,5}) ([1-8]) ([248])")


@dataclasses.dataclass(frozen=True)
class Rung:
    """What the ladder was made of: the original's size as stored, its EXIF orientation, the scale."""

    original: Size
    orientation: int
    scale: int


def write(image: Image.Image, rung: Rung, icc: bytes, side_px: int) -> bytes | None:
    """Return the ladder's file for a decoded picture; None where it would be of no use."""
    if rung.scale < 2 or image.mode not in WRITABLE or max(image.size) > side_px:
        return None
    comment = f"image-cloud ladder {rung.original.width} {rung.original.height}"
    target = io.BytesIO()
    image.save(
        target, "JPEG", quality=QUALITY, subsampling=0, icc_profile=icc or None,
        comment=f"{comment} {rung.orientation} {rung.scale}",
    )  # fmt: skip
    return target.getvalue()


def rung_of(image: Image.Image) -> Rung | None:
    """Return what an opened JPEG says of itself, None unless it is a ladder."""
    found = _COMMENT.fullmatch(image.info.get("comment") or b"")
    if not found:
        return None
    width, height, orientation, scale = map(int, found.groups())
    fits = image.size == (-(-width // scale), -(-height // scale))
    return Rung(Size(width, height), orientation, scale) if fits else None
