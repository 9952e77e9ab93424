"""Open a picture, refuse what is too much, and decode it no larger than needed."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from image_cloud.config.sections import Resize
from image_cloud.errors import TooManyPixels, TooManyScans, UnsupportedFormat
from image_cloud.picture.formats import Format
from image_cloud.picture.variant import Recipe
from image_cloud.resize import colour, frames, jpeg_scans, ladder
from image_cloud.resize.bounds import check_memory, check_pixels, check_size, drawn_size
from image_cloud.resize.edge import DECODER_ERRORS
from image_cloud.resize.geometry import Layout, Size, layout
from image_cloud.resize.heif import decode as heif

PIL_NAMES = {
    "jpeg": JpegImagePlugin.JpegImageFile.format,
    "png": PngImagePlugin.PngImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
    "gif": GifImagePlugin.GifImageFile.format,
    "bmp": BmpImagePlugin.BmpImageFile.format,
    "tiff": TiffImagePlugin.TiffImageFile.format,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile.format,
    "ico": IcoImagePlugin.IcoImageFile.format,
}
FEATURES = {"webp": "webp", "jpeg2000": "jpg_2000"}
DRAFT_SCALES = (8, 4, 2)
ORIENTATION_TAG = 0x0112
PIL_PIXEL_BYTES = 4
"""Of every picture in colour."""
FED_AT_ONCE_BYTES = 1 << 20
"""libjpeg starts anew with each block (PIL feeds 64 kB), but a deadline can end it only between two."""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded picture, perhaps smaller than the original and not yet upright.

    `box` is the part of `image` that holds the original (left, upper, right, lower; the last
    column and row of a scaled JPEG may belong to it only in part).
    `layouts` has the sizes of each recipe, computed from the upright original.
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    orientation: int
    icc: bytes
    layouts: list[Layout]
    rung: ladder.Rung | None = None
    """What a ladder can be made of; None for anything but a JPEG."""
    is_scaled: bool = False
    """Drawn smaller than it is: most of the way to the wanted size is done."""


def decode(
    file: BinaryIO, format: Format, recipes: Sequence[Recipe], limits: Resize, side_px: int = 0
) -> Decoded:
    """Decode the first frame of `file` for all `recipes` at once.

    A JPEG is decoded to about `side_px` (longest side) if that is more than the recipes need.
    """
    if format.name in FEATURES and not features.check(FEATURES[format.name]):
        raise UnsupportedFormat(f"This node does not decode {format.name}.")
    file.seek(0)
    if format.name == "jpeg":
        return _decode_jpeg(file.read(), recipes, limits, side_px)
    if format.is_heif:
        return _decode_heif(file, format, recipes, limits)
    frames.check(file, format.name, limits.max_frames)
    if format.name == "webp":
        check_size(_webp_size(file), format.name, limits)
    file.seek(0)
    with Image.open(file, formats=[PIL_NAMES[format.name]]) as image:
        if format.name != "webp":  # whose memory is taken as soon as it is opened
            check_size(image.size, format.name, limits)
        icc = image.info.get("icc_profile") or b""
        depth = colour.depth_of(image)
        image.load()
        turn = orientation_of(image)
        layouts = _layouts(Size(*image.size).turned(turn), recipes, limits)
        expanded = colour.expanded(image, depth, icc)
        rest = colour.still_to_apply(image.mode, icc)
    return Decoded(expanded, (0, 0, *expanded.size), turn, rest, layouts)


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODER_ERRORS:
        return 1
    return value if value in range(1, 9) else 1


def decode_ladder(data: bytes, recipes: Sequence[Recipe], limits: Resize) -> Decoded | None:
    """Decode a ladder for `recipes`; None where only the original will do."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    rung = ladder.rung_of(image)
    if rung is None:
        return None
    layouts = _layouts(rung.original.turned(rung.orientation), recipes, limits)
    targets = [one.picture.turned(rung.orientation) for one in layouts]
    scale = _scale(rung.original, targets, limits.reducing_gap)
    if scale < rung.scale:
        return None
    icc = image.info.get("icc_profile") or b""
    if scale > rung.scale:
        step = scale // rung.scale
        image.draft(None, (image.width // step, image.height // step))
    image.load()
    box = (0, 0, rung.original.width / scale, rung.original.height / scale)
    return Decoded(_bare(image), box, rung.orientation, icc, layouts, is_scaled=True)


def _decode_jpeg(data: bytes, recipes: Sequence[Recipe], limits: Resize, side_px: int) -> Decoded:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if image.width * image.height > limits.max_jpeg_pixels:
        raise TooManyPixels(
            f"The JPEG has {image.width} x {image.height} pixels; {limits.max_jpeg_pixels} are allowed."
        )
    scans = jpeg_scans.outline(data, limits.max_scans)
    if len(scans.scans) > limits.max_scans:
        raise TooManyScans(f"The JPEG has more than {limits.max_scans} scans.")
    icc = image.info.get("icc_profile") or b""
    turn = orientation_of(image) if _may_be_turned(image) else 1
    original = Size(*image.size)
    layouts = _layouts(original.turned(turn), recipes, limits)
    scale = _scale(original, [one.picture.turned(turn) for one in layouts], limits.reducing_gap)
    if side_px:
        scale = min(scale, _scale_to(original, side_px))
    check_pixels(original, limits, scale)
    drawn = drawn_size(original, scale)
    check_memory(
        scans.coefficient_bytes + drawn[0] * drawn[1] * PIL_PIXEL_BYTES, "Decoding the JPEG"
    )
    image.fp = io.BytesIO(jpeg_scans.pruned(data, scans, scale))  # with the same headers
    image.decodermaxblock = FED_AT_ONCE_BYTES
    if scale > 1:
        image.draft(None, (original.width // scale, original.height // scale))
    image.load()
    box = (0, 0, original.width / scale, original.height / scale)
    expanded = colour.expanded(image, 8, icc)
    rest = colour.still_to_apply(image.mode, icc)
    rung = ladder.Rung(original, turn, scale)
    return Decoded(_bare(expanded), box, turn, rest, layouts, rung, scale > 1)


def _decode_heif(
    file: BinaryIO, format: Format, recipes: Sequence[Recipe], limits: Resize
) -> Decoded:
    picture = heif.decode(file, format.name, limits)
    layouts = _layouts(Size(*picture.turns.size), recipes, limits)
    expanded = colour.expanded(picture.image, 8, picture.icc)
    box, orientation = picture.turns.box, picture.turns.orientation
    return Decoded(_bare(expanded), box, orientation, picture.icc, layouts)


def _bare(image: Image.Image) -> Image.Image:
    """Empty the picture's info: what is derived of it would carry it on, and be copied without it."""
    image.info = {}
    return image


def _may_be_turned(image: ImageFile.ImageFile) -> bool:
    return "exif" in image.info or "xmp" in image.info


def _layouts(original: Size, recipes: Sequence[Recipe], limits: Resize) -> list[Layout]:
    return [layout(original, recipe, limits.max_pixels) for recipe in recipes]


def _scale(original: Size, targets: Sequence[Size], reducing_gap: float) -> int:
    """Return how many times smaller the JPEG may be decoded for the largest of `targets`."""
    wide = max(target.width for target in targets) * reducing_gap
    high = max(target.height for target in targets) * reducing_gap
    most = min(original.width // wide, original.height // high)
    return next((scale for scale in DRAFT_SCALES if scale <= most), 1)


def _scale_to(original: Size, side_px: int) -> int:
    """Return the least scale that makes the original no larger than `side_px`; 8 if none does."""
    return next((scale for scale in (2, 4) if max(original) <= side_px * scale), 8)


def _webp_size(file: BinaryIO) -> tuple[int, int]:
    """Read a WebP's canvas size: PIL makes room for the canvas as soon as it opens the file."""
    file.seek(12)
    head = file.read(18)
    if head[:4] == b"VP8X":
        return (
            int.from_bytes(head[12:15], "little") + 1,
            int.from_bytes(head[15:18], "little") + 1,
        )
    if head[:4] == b"VP8L":
        bits = int.from_bytes(head[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return (
        int.from_bytes(head[14:16], "little") & 0x3FFF,
        int.from_bytes(head[16:18], "little") & 0x3FFF,
    )
