"""How much of a JPEG without an end marker is missing.

libjpeg goes on with grey where a scan ends too soon, and PIL does not tell.  So different bytes are appended
in turn: where the pictures begin to differ is where the file ends.
"""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageChops, JpegImagePlugin

from image_cloud.errors import TruncatedImage
from image_cloud.picture.structure.data import Data, Size
from image_cloud.resize.jpeg_scans import END, Outline, Scan
from image_cloud.resize.readers import jpeg
from image_cloud.resize.readers.drawing import MOST_MISSING

FILLERS = [byte * 4096 for byte in (b"\0", b"\xaa", b"\x55")]
RESTARTS = [bytes([0xFF, 0xD0 + number]) for number in range(8)]
BLOCK_PX, COEFFICIENTS = 8, 64
LEAST_SCALED_PX = 64
NO_DATA = {"L": 128, "RGB": (128, 128, 128)}
WHITE = {"CMYK": (0, 0, 0, 0)}

Box = tuple[int, int, int, int]


class Gap(NamedTuple):
    """The missing end of a picture, pixels: a part of one row of blocks, and all rows below."""

    rest_of_row: Box
    below: Box

    @property
    def pixels(self) -> int:
        """Count the missing pixels."""
        return sum((right - left) * (bottom - top) for left, top, right, bottom in self)


def missing_end(data: Data, found: Outline) -> Gap | None:
    """Return what is to be filled at the end of a JPEG that has no end marker; None where nothing is.

    Raises TruncatedImage where more than MOST_MISSING of the picture is missing, or a whole scan.
    """
    if not _is_last_scan(found):
        raise _truncated()
    place = _first_difference(data, found)
    if place is None:
        return None
    gap = _gap(found, place)
    if gap.pixels > MOST_MISSING * found.size[0] * found.size[1]:
        raise _truncated()
    # The last scan of a progressive picture only adds detail to what is there already.
    return None if found.in_many_scans else gap


def may_lack_its_end(image: Image.Image) -> bool:
    """Tell whether a picture ends with the grey that libjpeg draws where there are no more data."""
    return image.getpixel((image.width - 1, image.height - 1)) == NO_DATA.get(image.mode)


def whitened(image: Image.Image, gap: Gap, scale: int) -> Image.Image:
    """Fill the gap of a picture drawn at 1/`scale` with white; browsers leave it transparent."""
    for left, top, right, bottom in gap:
        box = left // scale, top // scale, -(-right // scale), -(-bottom // scale)
        image.paste(WHITE.get(image.mode, "white"), box)
    return image


def _truncated() -> TruncatedImage:
    return TruncatedImage("The jpeg ends before the picture does.")


def _is_last_scan(found: Outline) -> bool:
    """Tell whether the scans tell of all coefficients of all components, down to the lowest bit."""
    known: dict[int, dict[int, int]] = {component: {} for component in found.sampling}
    for scan in found.scans:
        last = scan.last_coefficient if found.in_many_scans else COEFFICIENTS - 1
        told = dict.fromkeys(range(scan.first_coefficient, last + 1), scan.lowest_bit)
        for component in scan.components:
            known.setdefault(component, {}).update(told)
    return all(len(told) == COEFFICIENTS and not any(told.values()) for told in known.values())


def _first_difference(data: Data, found: Outline) -> Size | None:
    """Return the column and row of the first unit of the last scan that the file does not hold."""
    scan = found.scans[-1]
    unit = _unit_px(found, scan)
    scale = _scale(found, scan)
    # A lone FF at the end would make a marker of what follows.
    start = jpeg.rewritten(data, found, ends=False).removesuffix(b"\xff")
    ends = [b"", *(_continued(data, scan, filler) for filler in FILLERS)]
    mode = "L" if next(iter(found.sampling)) in scan.components else "YCbCr"
    first, *others = (_drawn(start + end + END, mode, scale) for end in ends)
    side = unit[0] // scale, unit[1] // scale
    places = [place for other in others if (place := _difference(first, other, side))]
    return min(places, key=lambda place: place[::-1], default=None)


def _continued(data: Data, scan: Scan, filler: bytes) -> bytes:
    """Return data to go on with: within a restart interval, and behind the next restart markers."""
    last = max((data.rfind(marker, scan.start), number) for number, marker in enumerate(RESTARTS))
    following = (last[1] + 1) % 8 if last[0] >= 0 else 0
    return filler + RESTARTS[following] + filler + RESTARTS[(following + 1) % 8] + filler


def _unit_px(found: Outline, scan: Scan) -> Size:
    """Return the size of what the scan tells of in turn: a block, or blocks of several components."""
    across = max(across for across, _ in found.sampling.values())
    down = max(down for _, down in found.sampling.values())
    if len(scan.components) > 1:
        return BLOCK_PX * across, BLOCK_PX * down
    own = found.sampling[scan.components[0]]
    return BLOCK_PX * across // own[0], BLOCK_PX * down // own[1]


def _scale(found: Outline, scan: Scan) -> int:
    """Return the scale at which the scan is seen and no component is enlarged for another's sake."""
    if min(found.size) < LEAST_SCALED_PX:
        return 1
    if not found.in_many_scans or not scan.last_coefficient:
        return 8
    return 2 if _unit_px(found, scan)[0] > BLOCK_PX else 1


def _drawn(file: bytes, mode: str, scale: int) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(file))
    image.draft(mode, (image.width // scale, image.height // scale))
    image.load()
    return image


def _difference(one: Image.Image, other: Image.Image, unit: Size) -> Size | None:
    """Return the column and row of the first unit in which two pictures differ."""
    changed = ImageChops.difference(one, other)
    box = changed.getbbox()
    if box is None:
        return None
    row = box[1] // unit[1]
    within = changed.crop((0, row * unit[1], changed.width, (row + 1) * unit[1])).getbbox()
    return (within or box)[0] // unit[0], row


def _gap(found: Outline, place: Size) -> Gap:
    width, height = found.size
    wide, high = _unit_px(found, found.scans[-1])
    left, top = place[0] * wide, place[1] * high
    bottom = min(top + high, height)
    return Gap((left, top, width, bottom), (0, bottom, width, height))
