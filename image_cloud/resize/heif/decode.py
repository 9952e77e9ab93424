"""Decode what a HEIF file shows: checked by its boxes first, and no more of it than that."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import (
    CorruptImage,
    TooManyFrames,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from image_cloud.picture import heif
from image_cloud.picture.geometry import Size
from image_cloud.picture.heif.items import Item
from image_cloud.picture.heif.shown import CODED, Shown, is_alpha
from image_cloud.picture.heif.turns import Rectangle
from image_cloud.picture.structure.data import all_of
from image_cloud.resize import averaging, colour
from image_cloud.resize.averaging import Averaged, Box, Factors, Goal
from image_cloud.resize.bounds import check_pixels, check_size
from image_cloud.resize.heif import av1, codecs
from image_cloud.resize.heif.codecs import Pixels
from image_cloud.resize.heif.plain import rewritten
from image_cloud.resize.profiles import cicp

FORMATS = {b"av01": "avif", b"hvc1": "heic", b"hev1": "heic"}
"""By what the items are coded in: the brands in the file's first bytes may name neither."""
MOST_TIMES = 4
"""All parts together, alpha and what tiles overlap included, may have so many times the pixels allowed."""
MOST_CODED_BYTES = 64 << 20
"""Small pictures may use the same bytes for many tiles; in all no more than this, or than the file has."""


class Picture(NamedTuple):
    """A decoded picture, not yet turned, its colours still those of `icc`; of `size`.

    `box` is the part of `image` that it fills.
    """

    image: Image.Image
    size: Size
    box: Box
    orientation: int
    icc: bytes
    frames: int
    has_alpha: bool


def decode(file: BinaryIO, name: str, limits: Resize, goal: Goal) -> Picture:
    """Decode what the HEIF file shows; `name` is the format that its first bytes name.

    It is averaged down as far as `goal` allows.

    Raises CorruptImage, TruncatedImage, UnsupportedFormat, TooManyPixels, TooManyFrames, and what the
    decoders raise.
    """
    data = all_of(file)
    try:
        shown = heif.read(file, len(data))
        coding = _coding(shown, limits)
        sequences = _checked(shown, name, data, limits)
    except heif.CutOff as error:
        raise TruncatedImage(f"The {name} ends before the picture does.") from error
    except ValueError as error:
        raise CorruptImage(f"The {name} cannot be decoded: {error}.") from error
    check_size(shown.coded_size, FORMATS[coding], limits)
    pixels = codecs.decoded(rewritten(shown, data, coding), coding)
    if pixels.size != shown.coded_size:
        raise CorruptImage(f"The {name} is not as large as it says.")
    orientation, icc = shown.turns.orientation, _profile(shown, sequences)
    by = goal(_size_of(shown.turns.box), orientation)
    image, box = _expanded(pixels, shown.turns.box, by, icc)
    has_alpha = any(map(is_alpha, shown.items))
    size = _size_of(shown.turns.box)
    return Picture(image, size, box, orientation, icc, shown.frames, has_alpha)


def _expanded(pixels: Pixels, box: Rectangle, by: Factors, icc: bytes) -> Averaged:
    if by == averaging.WHOLE:
        return Averaged(colour.expanded(pixels.rows(0, pixels.size[1]), 8, icc), box)
    return averaging.averaged(_strips(pixels, box, by), _size_of(box), by, 8, icc)


def _strips(pixels: Pixels, box: Rectangle, by: Factors) -> Iterator[Image.Image]:
    """Yield in strips what `box` cuts out."""
    left, upper, right, lower = box
    count = averaging.rows_of_strip(right - left, by)
    for top in range(upper, lower, count):
        rows = pixels.rows(top, min(top + count, lower))
        yield rows.crop((left, 0, right, rows.height))


def _size_of(box: Rectangle) -> Size:
    return Size(box[2] - box[0], box[3] - box[1])


def _coding(shown: Shown, limits: Resize) -> bytes:
    """Return what the items are coded in, if this build decodes it."""
    codings = {FORMATS.get(kind, CODED[kind]): kind for kind in shown.codings}
    if len(codings) != 1:
        raise heif.Malformed("its parts are coded in several ways, or none")
    ((format, coding),) = codings.items()
    if coding not in FORMATS:
        raise UnsupportedFormat(
            f"The picture is HEIF coded in {format}; this node does not decode that."
        )
    if format not in limits.formats:
        raise UnsupportedFormat(
            f"The picture is {format}; these are taken: {', '.join(limits.formats)}."
        )
    return coding


def _checked(shown: Shown, name: str, data: bytes, limits: Resize) -> list[av1.Sequence]:
    """Refuse what is too much, or not all there; return what the AV1 sequence headers say."""
    if shown.frames > limits.max_frames:
        raise TooManyFrames(f"The {name} has more than {limits.max_frames} frames.")
    check_pixels(shown.coded_size, limits)
    if shown.pixels > MOST_TIMES * limits.max_pixels:
        raise TooManyPixels(f"The {name} is made of parts of {shown.pixels} pixels together.")
    if not shown.is_here(len(data)):
        raise TruncatedImage(f"The {name} ends before the picture does.")
    coded = sum(extent.length for item in shown.items for extent in item.extents)
    if coded > max(MOST_CODED_BYTES, len(data)):
        raise heif.Malformed("its parts use the same bytes again and again")
    sequences = _sequences(shown, data)
    for sequence in sequences:
        check_pixels(sequence.size, limits)
    return sequences


def _sequences(shown: Shown, data: bytes) -> list[av1.Sequence]:
    """Return what the AV1 sequence headers say, those of the shown item first."""
    coded = [item for item in shown.items if item.kind == b"av01"]
    return [sequence for item in coded for sequence in av1.sequences(_bytes_of(item, data))]


def _bytes_of(item: Item, data: bytes) -> bytes:
    return b"".join(
        data[start : start + length if length else None] for start, length in item.extents
    )


def _profile(shown: Shown, sequences: Sequence[av1.Sequence]) -> bytes:
    """Return the ICC profile, the file's own or one made from the numbers that stand in its place."""
    seen = [item for item in shown.items if not is_alpha(item)]
    colours = [body for item in seen for body in item.all_of(b"colr")]
    for body in colours:
        if body[:4] in (b"prof", b"rICC"):
            return body[4:]
    numbers = next((body[4:8] for body in colours if body[:4] == b"nclx"), b"")
    named = struct.unpack(">HH", numbers) if len(numbers) == 4 else None
    named = named or next((one.colours for one in sequences if one.colours), None)
    return cicp.profile(*named, _peak(shown)) if named else b""


def _peak(shown: Shown) -> int:
    """Return how bright a picture of high dynamic range becomes, cd/m2; 0 if it does not say so."""
    level = next(iter(shown.items[0].all_of(b"clli")), b"")[:2]
    mastering = next(iter(shown.items[0].all_of(b"mdcv")), b"")[16:20]
    return int.from_bytes(level, "big") or int.from_bytes(mastering, "big") // 10_000
