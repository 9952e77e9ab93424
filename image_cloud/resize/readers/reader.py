"""Which reader takes which format."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from PIL import features

from image_cloud.config.sections import Resize
from image_cloud.errors import UnsupportedFormat
from image_cloud.picture.structure.data import all_of
from image_cloud.resize.averaging import Goal
from image_cloud.resize.readers import bmp, gif, other, png, webp
from image_cloud.resize.readers.frame import Frame

READERS: dict[str, Callable[[bytes, Resize, Goal], Frame]] = {
    "png": png.read, "webp": webp.read, "gif": gif.read, "bmp": bmp.read,
    "tiff": other.read_tiff, "ico": other.read_ico, "jpeg2000": other.read_jpeg2000,
}  # fmt: skip
FEATURES = {"webp": "webp", "jpeg2000": "jpg_2000"}


def read(file: BinaryIO, name: str, limits: Resize, goal: Goal) -> Frame:
    """Return the first frame of `file`, a picture of the format `name`.

    It may be averaged down as far as `goal` allows.

    Raises UnsupportedFormat, TooManyPixels, TooManyFrames, TruncatedImage, CorruptImage, and whatever
    a decoder throws.
    """
    if name in FEATURES and not features.check(FEATURES[name]):
        raise UnsupportedFormat(f"This node does not decode {name}.")
    return READERS[name](all_of(file), limits, goal)
