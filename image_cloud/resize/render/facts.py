"""From a decoded picture to its facts: hash and average colour, as the upright picture looks on white."""

from __future__ import annotations

import itertools
import math

from PIL import Image, ImageStat

from image_cloud.picture.facts import Facts
from image_cloud.resize import colour
from image_cloud.resize.decode import Decoded
from image_cloud.resize.encode import flattened
from image_cloud.resize.render.pixels import UPRIGHT

HASH_SIZE = (9, 8)
WHITE = (255, 255, 255)


def facts_of(decoded: Decoded) -> Facts:
    """Return the facts of a picture."""
    shown = _shown(decoded)
    width, height = decoded.original
    return Facts(
        width=width,
        height=height,
        animated=decoded.frames > 1,
        has_alpha=decoded.has_alpha,
        orientation=decoded.turned if decoded.turned > 1 else decoded.orientation,
        average_colour=_average(shown),
        dhash=dhash(shown),
    )


def dhash(image: Image.Image) -> str:
    """Return the difference hash of a picture (L or RGB) as 16 hex digits.

    As in https://github.com/JohannesBuchner/imagehash: grey, 9 x 8 by Lanczos, and row by row a bit for each
    pixel that is darker than the next.
    """
    small = image.convert("L").resize(HASH_SIZE, Image.Resampling.LANCZOS)
    pixels, bits = small.tobytes(), 0
    for start in range(0, len(pixels), HASH_SIZE[0]):
        row = pixels[start : start + HASH_SIZE[0]]
        for left, right in itertools.pairwise(row):
            bits = 2 * bits + (right > left)
    return f"{bits:016x}"


def _shown(decoded: Decoded) -> Image.Image:
    """Return the upright picture on white, L or RGB, in sRGB."""
    box = decoded.box
    whole = (int(box.left), int(box.upper), math.ceil(box.right), math.ceil(box.lower))
    image = decoded.image if whole == (0, 0, *decoded.image.size) else decoded.image.crop(whole)
    image = colour.to_srgb(colour.straight(image), decoded.icc)
    image = flattened(image, WHITE)
    return (
        image.transpose(UPRIGHT[decoded.orientation]) if decoded.orientation in UPRIGHT else image
    )


def _average(image: Image.Image) -> str:
    mean = ImageStat.Stat(image.convert("RGB")).mean
    return bytes(math.floor(level + 0.5) for level in mean).hex()
