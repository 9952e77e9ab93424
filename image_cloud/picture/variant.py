"""What a variant is made of: target box, mode, format and quality, and the file name that follows."""

from __future__ import annotations

import dataclasses
import re

EXTENSIONS = {
    "jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff",
    "avif": "avif", "heic": "heic", "jpeg2000": "jp2", "ico": "ico",
}  # fmt: skip

LADDER = "ladder.jpg"
"""The file beside the variants that further sizes are made from (image_cloud/resize/ladder.py)."""

ALIASES = {"jpg": "jpeg", "tif": "tiff"}

NAME = re.compile(
    r"(\d{1,5})x(\d{1,5})-(fit|pad|stretch)(-up)?-q(\d{1,3})\.("
    + "|".join(EXTENSIONS.values())
    + ")"
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to make one variant.

    `width` and `height` are pixels, 0 for a side that was not asked for (at least one is).
    `mode` is `fit` (inside the box), `pad` (fit, then centred on a white canvas of exactly the
    box) or `stretch` (exactly the box; a side not given keeps the upright original's).
    `enlarge` lets `fit` and `pad` scale up; `stretch` always may.
    `format` is a key of EXTENSIONS, `quality` 1 to 100 (ignored by formats without one).
    """

    width: int
    height: int
    mode: str = "fit"
    enlarge: bool = False
    format: str = "jpeg"
    quality: int = 85

    @property
    def extension(self) -> str:
        """Return the extension of the variant's file name."""
        return EXTENSIONS[self.format]

    @property
    def name(self) -> str:
        """Return the variant's file name; nginx computes the same one (nginx/lua/hot_path.lua)."""
        up = "-up" if self.enlarge and self.mode != "stretch" else ""
        box = f"{self.width}x{self.height}"
        return f"{box}-{self.mode}{up}-q{self.quality}.{self.extension}"

    @classmethod
    def from_name(cls, name: str) -> Recipe:
        """Read a recipe back from a variant's file name.  Raises ValueError."""
        match = NAME.fullmatch(name)
        if not match:
            raise ValueError(f"{name!r} is not the name of a variant")
        width, height, mode, up, quality, extension = match.groups()
        formats = {value: key for key, value in EXTENSIONS.items()}
        return cls(int(width), int(height), mode, bool(up), formats[extension], int(quality))
