"""Encode a finished picture in the requested format, without the original's metadata."""

from __future__ import annotations

import dataclasses
import io
import itertools
import logging
from typing import Any

from PIL import Image, features

from image_cloud.errors import BadParameter, TooMuchMemory
from image_cloud.picture.variant import OPAQUE, Colour, Recipe
from image_cloud.resize.bounds import check_memory
from image_cloud.resize.heif import codecs

log = logging.getLogger(__name__)

ONLY_COLOUR = frozenset({"webp", "avif"})
"""Formats that know no grey."""
FEATURES = {"webp": "webp"}
AVIF_QUALITIES = (
    (1, 1), (10, 8), (20, 24), (30, 34), (50, 44), (60, 48), (70, 52), (80, 64), (85, 69), (90, 79), (95, 90),
    (100, 100),
)  # fmt: skip
"""JPEG's qualities, and those that leave as much of a photo in AVIF (bench/avif.py)."""
AVIF_SPEED = 8
"""Of 0 to 10.  A photo of 400 px takes 19 ms, and 38 % fewer bytes than JPEG; at 6, 61 ms and 42 %."""
AVIF_PIXEL_BYTES = 30
"""What libaom takes to write a pixel; it crashes where it gets no memory."""
OPAQUE_ALPHA = 255
GIF_COLOURS = 256
GIF_OPAQUE_FROM = 128
"""Alpha from which on a pixel of a GIF, which knows only all or nothing, is drawn."""


def encode(image: Image.Image, recipe: Recipe, *, quickly: bool = False) -> bytes:
    """Return `image` (L, LA, RGB or RGBA, in sRGB) as a file of the recipe's format.

    `quickly` takes libjpeg's own Huffman tables instead of the best ones for this picture: the same
    pixels in 10 % more bytes for less than half of the time.  With `auto` the file is a JPEG where that is
    smaller, and nothing shines through.
    """
    if recipe.auto:
        return _smaller(image, dataclasses.replace(recipe, auto=False))
    if recipe.format in FEATURES and not features.check(FEATURES[recipe.format]):
        raise BadParameter(f"This node does not write {recipe.format}.")
    if recipe.format == "avif":
        codecs.load()
        check_memory(image.width * image.height * AVIF_PIXEL_BYTES, "Writing the avif")
    try:
        return _written(image, recipe, quickly)
    except (OSError, ValueError, RuntimeError) as error:
        # The size is right: what is left is memory, which hardly any library names.
        log.warning("event=not_written format=%s error=%r", recipe.format, error)
        raise TooMuchMemory(
            f"Writing the {recipe.format} needs more memory than is allowed."
        ) from error


def _smaller(image: Image.Image, recipe: Recipe) -> bytes:
    asked = encode(image, recipe)
    if has_transparency(image):
        return asked
    jpeg = encode(image, dataclasses.replace(recipe, format="jpeg"))
    return jpeg if len(jpeg) < len(asked) else asked


def has_transparency(image: Image.Image) -> bool:
    """Say whether any pixel lets the background through."""
    if image.mode not in ("LA", "RGBA"):
        return False
    least, _ = image.getchannel("A").getextrema()
    return least < OPAQUE_ALPHA  # type: ignore[operator]


def _written(image: Image.Image, recipe: Recipe, quickly: bool) -> bytes:
    options = dict(OPTIONS[recipe.format])
    if recipe.format == "jpeg":
        options["optimize"] = not quickly
    if recipe.format in ("jpeg", "webp"):
        options["quality"] = recipe.quality
    if recipe.format == "avif":
        options["quality"] = avif_quality(recipe.quality)
    if recipe.format == "gif":
        image, options = _paletted(image), options | _gif_transparency(image)
    target = io.BytesIO()
    image = _fitting(image, recipe)
    image.info = {}
    image.save(target, format=PIL_NAMES[recipe.format], **options)
    return target.getvalue()


def avif_quality(quality: int) -> int:
    """Return the quality in AVIF that matches JPEG's `quality`."""
    pairs = itertools.pairwise(AVIF_QUALITIES)
    (low, first), (high, last) = next(pair for pair in pairs if quality <= pair[1][0])
    return round(first + (last - first) * (quality - low) / (high - low))


def flattened(image: Image.Image, background: Colour) -> Image.Image:
    """Return `image` without alpha, composited on the background."""
    if image.mode not in ("LA", "RGBA"):
        return image
    ground = canvas("L" if image.mode == "LA" else "RGB", image.size, background)
    ground.paste(image.convert(ground.mode), mask=image.getchannel("A"))
    return ground


def canvas(mode: str, size: tuple[int, int], background: Colour) -> Image.Image:
    """Return a picture of nothing but the background: L for one of mode L where that is grey, else RGB."""
    if mode == "L" and len(set(background)) == 1:
        return Image.new("L", size, background[0])
    return Image.new("RGB", size, background)


def _fitting(image: Image.Image, recipe: Recipe) -> Image.Image:
    """Return a picture that the format can hold, and of its own: its info is emptied."""
    format = recipe.format
    if format in OPAQUE:
        image = flattened(image, recipe.colour)
    if format in ONLY_COLOUR and image.mode in ("L", "LA"):
        return image.convert("RGBA" if image.mode == "LA" else "RGB")
    return image if not image.info else image.copy()


def _paletted(image: Image.Image) -> Image.Image:
    """Reduce colours to a GIF's palette, the last of which means transparent if there is alpha."""
    if image.mode == "L":
        return image
    if image.mode == "RGB":
        return image.quantize(GIF_COLOURS)
    alpha = image.getchannel("A")
    hidden = alpha.point([255 if value < GIF_OPAQUE_FROM else 0 for value in range(256)])
    result = image.convert("RGB").quantize(GIF_COLOURS - 1)
    result.paste(GIF_COLOURS - 1, mask=hidden)
    return result


def _gif_transparency(image: Image.Image) -> dict[str, Any]:
    return {"transparency": GIF_COLOURS - 1} if image.mode in ("LA", "RGBA") else {}


PIL_NAMES = {
    "jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF",
    "avif": "AVIF",
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "jpeg": {},
    "png": {},
    "webp": {},
    "gif": {},
    "bmp": {},
    "tiff": {"compression": "tiff_lzw"},
    "avif": {"speed": AVIF_SPEED, "max_threads": codecs.THREADS},
}
