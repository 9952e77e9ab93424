"""A first frame and its canvas."""

from __future__ import annotations

import dataclasses

from PIL import Image

from image_cloud.picture.geometry import Size as Pixels
from image_cloud.picture.structure.data import Size

TRANSPARENT = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Frame:
    """The picture as it is in the file: not upright, and in the file's own colours.

    `depth` is the bits of a sample where `image` has more than 8; `icc` is empty without a profile.
    `size` is the picture's where `image` is smaller, averaged down on the way; `box` the part of `image`
    that stands for it.
    `frames` is how many an animation has; `turned` the orientation that the reader has applied itself.
    `has_alpha` says that the file has alpha although `image` may have lost it, as it hides nothing.
    """

    image: Image.Image
    orientation: int = 1
    icc: bytes = b""
    depth: int = 8
    size: Pixels | None = None
    box: tuple[float, float, float, float] | None = None
    frames: int = 1
    has_alpha: bool = False
    turned: int = 1


def on_canvas(image: Image.Image, size: Size, corner: Size) -> Image.Image:
    """Return `image` on a transparent canvas of `size`; as it is where it covers that."""
    if image.size == size and corner == (0, 0):
        return image
    canvas = Image.new("RGBA", size, TRANSPARENT)
    canvas.paste(image.convert("RGBA"), corner)
    return canvas
