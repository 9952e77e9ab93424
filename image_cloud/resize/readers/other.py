"""The formats that PIL reads as they are: TIFF, and ICO and JPEG 2000 where the ini allows them."""

from __future__ import annotations

import io

from PIL import IcoImagePlugin, ImageFile, Jpeg2KImagePlugin, TiffImagePlugin

from image_cloud.config.sections import Resize
from image_cloud.picture.structure.data import Data
from image_cloud.resize import bounds, colour
from image_cloud.resize.averaging import Goal
from image_cloud.resize.readers.frame import Frame

ORIENTATION_TAG = 274


def read_tiff(data: Data, limits: Resize, _goal: Goal) -> Frame:
    """Return the first page; PIL turns it upright by its own tag, and must not by XMP."""
    return _read(TiffImagePlugin.TiffImageFile(io.BytesIO(data)), "tiff", limits)


def read_ico(data: Data, limits: Resize, _goal: Goal) -> Frame:
    """Return the largest icon."""
    return _read(IcoImagePlugin.IcoImageFile(io.BytesIO(data)), "ico", limits)


def read_jpeg2000(data: Data, limits: Resize, _goal: Goal) -> Frame:
    """Return the picture."""
    return _read(Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data)), "jpeg2000", limits)


def _read(image: ImageFile.ImageFile, name: str, limits: Resize) -> Frame:
    bounds.check_size(image.size, name, limits)
    image.info.pop("xmp", None)
    icc, depth, turned = image.info.get("icc_profile") or b"", colour.depth_of(image), _turn(image)
    image.load()
    return Frame(image, icc=icc, depth=depth, turned=turned)


def _turn(image: ImageFile.ImageFile) -> int:
    """Return the orientation that PIL applies while it loads a TIFF."""
    turn = getattr(image, "tag_v2", {}).get(ORIENTATION_TAG, 1)
    return turn if turn in range(1, 9) else 1
