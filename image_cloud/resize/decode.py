"""Open a picture, check its limits, and decode it no larger than needed."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from image_cloud.config.sections import Resize
from image_cloud.errors import TooManyPixels, TooManyScans, TruncatedImage
from image_cloud.picture.formats import Format
from image_cloud.picture.geometry import TRANSPOSED, Box, Size, layout
from image_cloud.picture.structure.data import all_of
from image_cloud.picture.variant import Recipe
from image_cloud.resize import averaging, colour, jpeg_scans, ladder
from image_cloud.resize.averaging import Factors, Goal, Target
from image_cloud.resize.bounds import check_memory, check_pixels, drawn_size
from image_cloud.resize.heif import decode as heif
from image_cloud.resize.jpeg_scans import Outline
from image_cloud.resize.readers import jpeg, jpeg_rows, read

DRAFT_SCALES = (8, 4, 2)
Scale = Callable[[Size, int], int]
"""Tells how many times smaller a JPEG of this size, as it lies in the file, and this orientation is drawn."""
WHOLE_PIXELS = 3_000_000
PIL_PIXEL_BYTES = 4
"""Of every picture in colour."""
FED_AT_ONCE_BYTES = 1 << 20
"""libjpeg resumes with each block (PIL feeds 64 kB); a deadline can stop it only between two."""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded picture, perhaps smaller than the original and not yet upright.

    `original` is the upright original's size.
    `box` is the part of `image` that holds the original (left, upper, right, lower; the last
    column and row of a scaled JPEG may belong to it only in part).
    """

    image: Image.Image
    original: Size
    box: Box
    orientation: int
    icc: bytes
    rung: ladder.Rung | None = None
    """What a ladder can be made of; None for anything but a JPEG."""
    is_scaled: bool = False
    """Drawn smaller than it is: most of the way to the wanted size is done."""
    frames: int = 1
    has_alpha: bool = False
    """Whether the file has alpha, even where `image` does without, as it hides nothing."""
    turned: int = 1
    """The EXIF orientation that `image` is no longer in."""


def decode(
    file: BinaryIO, format: Format, recipes: Sequence[Recipe], limits: Resize, side_px: int = 0
) -> Decoded:
    """Decode the first frame of `file` for all `recipes` at once.

    A JPEG is decoded to about `side_px` (longest side) if that is more than the recipes need.
    """

    def scale(stored: Size, orientation: int) -> int:
        needed = _scale(stored, orientation, recipes, limits)
        return min(needed, _scale_to(stored, side_px)) if side_px else needed

    return _decoded(file, format, scale, _goal(recipes, limits), limits)


def decode_whole(file: BinaryIO, format: Format, limits: Resize) -> Decoded:
    """Decode the first frame of `file` as it is, one of many pixels to about WHOLE_PIXELS.

    The same file always gives the same picture.
    """
    return _decoded(file, format, _whole_scale, _whole_factors, limits)


def _whole_scale(stored: Size, _orientation: int) -> int:
    few = (scale for scale in (1, *DRAFT_SCALES[::-1]) if _pixels(stored, scale) <= WHOLE_PIXELS)
    return next(few, DRAFT_SCALES[0])


def _whole_factors(size: Size, _orientation: int) -> Factors:
    by = math.ceil(math.sqrt(size.width * size.height / WHOLE_PIXELS))
    return by, by


def _decoded(file: BinaryIO, format: Format, scale: Scale, goal: Goal, limits: Resize) -> Decoded:
    if format.name == "jpeg":
        return _decode_jpeg(all_of(file), scale, limits)
    if format.is_heif:
        return _decode_heif(file, format, goal, limits)
    return _decode_frame(file, format, goal, limits)


def decode_ladder(data: bytes, recipes: Sequence[Recipe], limits: Resize) -> Decoded | None:
    """Decode a ladder for `recipes`; None where only the original will do."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    rung = ladder.rung_of(image)
    if rung is None:
        return None
    scale = _scale(rung.original, rung.orientation, recipes, limits)
    if scale < rung.scale:
        return None
    icc = image.info.get("icc_profile") or b""
    if scale > rung.scale:
        step = scale // rung.scale
        image.draft(None, (image.width // step, image.height // step))
    image.load()
    box = Box(0, 0, rung.original.width / scale, rung.original.height / scale)
    original = rung.original.turned(rung.orientation)
    return Decoded(_bare(image), original, box, rung.orientation, icc, is_scaled=True)


def _decode_frame(file: BinaryIO, format: Format, goal: Goal, limits: Resize) -> Decoded:
    frame = read(file, format.name, limits, goal)
    size = frame.size or Size(*frame.image.size)
    by = averaging.WHOLE if frame.box else goal(size, frame.orientation)
    image, box = averaging.expanded(frame.image, by, frame.depth, frame.icc)
    rest = colour.still_to_apply(frame.image.mode, frame.icc)
    return Decoded(
        image,
        size.turned(frame.orientation),
        Box(*(frame.box or box)),
        frame.orientation,
        rest,
        frames=frame.frames,
        has_alpha=frame.has_alpha or frame.image.has_transparency_data,
        turned=frame.turned,
    )


def _decode_jpeg(data: bytes, scale_of: Scale, limits: Resize) -> Decoded:
    found = jpeg_scans.outline(data, limits.max_scans)
    _check_jpeg(found, limits)
    icc, turn = jpeg.profile(data, found), jpeg.orientation(data, found)
    stored = Size(*found.size)
    scale = scale_of(stored, turn)
    _check_drawing(found, stored, scale, limits)
    image = _drawn_as_far_as_possible(data, found, scale)
    box = Box(0, 0, stored.width / scale, stored.height / scale)
    expanded = colour.expanded(image, 8, icc)
    rest = colour.still_to_apply(image.mode, icc)
    rung = ladder.Rung(stored, turn, scale)
    return Decoded(_bare(expanded), stored.turned(turn), box, turn, rest, rung, scale > 1)


def _check_jpeg(found: Outline, limits: Resize) -> None:
    if not found.scans:
        raise TruncatedImage("The jpeg ends before the picture does.")
    width, height = found.size
    if width * height > limits.max_jpeg_pixels:
        raise TooManyPixels(
            f"The JPEG has {width} x {height} pixels; {limits.max_jpeg_pixels} are allowed."
        )
    if len(found.scans) > limits.max_scans:
        raise TooManyScans(f"The JPEG has more than {limits.max_scans} scans.")


def _check_drawing(found: Outline, original: Size, scale: int, limits: Resize) -> None:
    check_pixels(original, limits, scale)
    width, height = drawn_size(original, scale)
    check_memory(found.coefficient_bytes + width * height * PIL_PIXEL_BYTES, "Decoding the JPEG")


def _drawn_as_far_as_possible(data: bytes, found: Outline, scale: int) -> Image.Image:
    """Draw a JPEG at 1/`scale`; a small part of its end may be missing."""
    if found.has_end:
        try:
            image = _drawn(data, found, scale)
            if not (found.one_pass and jpeg_rows.may_lack_its_end(image)):
                return image
        except OSError:
            if not jpeg_scans.cut_at_marker(found, data):
                raise
    gap = jpeg_rows.missing_end(data, found)
    image = _drawn(data, found, scale)
    return jpeg_rows.whitened(image, gap, scale) if gap else image


def _drawn(data: bytes, found: Outline, scale: int) -> Image.Image:
    file = jpeg.rewritten(data, found, jpeg_scans.pruned(found, scale))
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(file))
    image.decodermaxblock = FED_AT_ONCE_BYTES
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    return image


def _decode_heif(file: BinaryIO, format: Format, goal: Goal, limits: Resize) -> Decoded:
    picture = heif.decode(file, format.name, limits, goal)
    return Decoded(
        _bare(picture.image),
        picture.size.turned(picture.orientation),
        Box(*picture.box),
        picture.orientation,
        picture.icc,
        frames=picture.frames,
        has_alpha=picture.has_alpha,
    )


def _goal(recipes: Sequence[Recipe], limits: Resize) -> Goal:
    """Return what tells how far a picture may be averaged down for all `recipes`."""

    def goal(size: Size, orientation: int) -> Factors:
        if any(one.trim is not None for one in recipes):
            return averaging.WHOLE
        return averaging.factors(size, _targets(size, orientation, recipes, limits))

    return goal


def _bare(image: Image.Image) -> Image.Image:
    """Empty the picture's info, which every derived picture would copy."""
    image.info = {}
    return image


def _targets(
    stored: Size, orientation: int, recipes: Sequence[Recipe], limits: Resize
) -> list[Target]:
    """Return how large the whole picture is wanted, as stored, by each recipe that does not trim."""
    upright = stored.turned(orientation)
    wanted = [one for one in recipes if one.trim is None]
    sizes = [layout(upright, recipe, limits.max_pixels).whole for recipe in wanted]
    return [(high, wide) if orientation >= TRANSPOSED else (wide, high) for wide, high in sizes]


def _scale(stored: Size, orientation: int, recipes: Sequence[Recipe], limits: Resize) -> int:
    """Return how many times smaller the JPEG may be decoded for all of the recipes.

    A border is found at full size, and where that is past the limits at the largest that is not.
    """
    targets = _targets(stored, orientation, recipes, limits)
    scale = _scale_for(stored, targets, limits.reducing_gap) if targets else DRAFT_SCALES[0]
    if len(targets) < len(recipes):
        fits = (one for one in (1, *DRAFT_SCALES[::-1]) if _fits(stored, one, limits))
        scale = min(scale, next(fits, DRAFT_SCALES[0]))
    return scale


def _scale_for(stored: Size, targets: Sequence[Target], reducing_gap: float) -> int:
    """Return how many times smaller a JPEG may be decoded for the largest of `targets`."""
    wide = max(target[0] for target in targets) * reducing_gap
    high = max(target[1] for target in targets) * reducing_gap
    most = min(stored.width // wide, stored.height // high)
    return next((scale for scale in DRAFT_SCALES if scale <= most), 1)


def _fits(stored: Size, scale: int, limits: Resize) -> bool:
    return _pixels(stored, scale) <= limits.max_pixels


def _pixels(stored: Size, scale: int) -> int:
    wide, high = drawn_size(stored, scale)
    return wide * high


def _scale_to(original: Size, side_px: int) -> int:
    """Return the least scale that makes the original no larger than `side_px`; 8 if none does."""
    return next((scale for scale in (2, 4) if max(original) <= side_px * scale), 8)
