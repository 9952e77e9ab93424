"""What a variant is made of: box, mode, colours, format and quality, and the file name that follows."""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple

EXTENSIONS = {
    "jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff",
    "avif": "avif", "heic": "heic", "jpeg2000": "jp2", "ico": "ico",
}  # fmt: skip

OPAQUE = frozenset({"jpeg", "bmp"})
"""Formats that are written without alpha; transparent parts show the background."""

JPEG_INSTEAD = {"webp": "-auto.jpg", "avif": "-auto-avif.jpg"}
"""The end of a JPEG's name where it is smaller than a file of that format, and kept in its place."""
JPEG_START = b"\xff\xd8\xff"

LADDER = "ladder.jpg"
"""The file beside the variants that further sizes are made from (image_cloud/resize/ladder.py)."""

ALIASES = {"jpg": "jpeg", "tif": "tiff"}

MODES = ("fit", "stretch", "pad", "crop")
NEED_BOTH_SIDES = ("pad", "crop")
WHITE = "ffffff"
Colour = tuple[int, int, int]
MOST_TOLERANCE, MOST_QUALITY = 255, 100
WHOLE = 1000
"""The far edge of a picture, as a Focus counts."""


class Focus(NamedTuple):
    """A point of the upright picture, in thousandths of its width and height from the upper left."""

    x: int
    y: int


CENTRE = Focus(500, 500)
GRAVITIES = {
    "center": CENTRE, "north": Focus(500, 0), "northeast": Focus(1000, 0), "east": Focus(1000, 500),
    "southeast": Focus(1000, 1000), "south": Focus(500, 1000), "southwest": Focus(0, 1000),
    "west": Focus(0, 500), "northwest": Focus(0, 0),
}  # fmt: skip

NAME = re.compile(
    r"(?P<width>\d{1,5})x(?P<height>\d{1,5})-(?P<mode>" + "|".join(MODES) + r")(?P<up>-up)?"
    r"(-at(?P<x>\d{1,4})x(?P<y>\d{1,4}))?(-trim(?P<trim>\d{1,3}))?(-bg(?P<background>[0-9a-f]{6}))?"
    r"-q(?P<quality>\d{1,3})(?P<auto>-auto)?\.(?P<extension>" + "|".join(EXTENSIONS.values()) + ")"
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to make one variant.

    `width` and `height` are pixels, 0 for a side that was not asked for (both only where it trims).
    `mode` is `fit` (inside the box), `pad` (fit, then centred on a canvas of exactly the box), `crop`
    (fill the box, then cut what is over) or `stretch` (exactly the box; a side not given keeps the
    upright original's).
    `enlarge` lets `fit` and `pad` scale up; `stretch` and `crop` always may.
    `format` is a key of EXTENSIONS, `quality` 1 to 100 (ignored by formats without one).
    `focus` is the point that `crop` keeps in the middle, as far as the picture goes.
    `trim` is how many levels a border may differ from the corner's colour to be cut first; None cuts nothing.
    `background` is the colour of the canvas and under transparency, six lower-case hex digits.
    With `auto`, a JPEG takes the place of a file of `format` (a key of JPEG_INSTEAD) where it is smaller.
    """

    width: int
    height: int
    mode: str = "fit"
    enlarge: bool = False
    format: str = "jpeg"
    quality: int = 85
    focus: Focus = CENTRE
    trim: int | None = None
    background: str = WHITE
    auto: bool = False

    @property
    def extension(self) -> str:
        """Return the extension of the variant's file name."""
        return EXTENSIONS[self.format]

    @property
    def colour(self) -> Colour:
        """Return the background's red, green and blue."""
        red, green, blue = bytes.fromhex(self.background)
        return red, green, blue

    @property
    def name(self) -> str:
        """Return the variant's file name; nginx computes the same one (nginx/lua/variant_name.lua)."""
        return f"{self._base}{'-auto' if self.auto else ''}.{self.extension}"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that the variant may have, that of a JPEG in its place among them."""
        return (self.name, self._base + JPEG_INSTEAD[self.format]) if self.auto else (self.name,)

    def name_of(self, content: bytes) -> str:
        """Return the name of the file with that content, which this recipe has made."""
        return self.names[-1] if content.startswith(JPEG_START) else self.name

    @property
    def _base(self) -> str:
        options = [
            "-up" if self.enlarge else "",
            f"-at{self.focus.x}x{self.focus.y}" if self.focus != CENTRE else "",
            "" if self.trim is None else f"-trim{self.trim}",
            f"-bg{self.background}" if self.background != WHITE else "",
        ]
        box = f"{self.width}x{self.height}-{self.mode}"
        return f"{box}{''.join(options)}-q{self.quality}"

    def canonical(self) -> Recipe:
        """Return the recipe of the same picture without the options that have no effect on it."""
        mode = self.mode if self.width or self.height else "fit"
        is_free = mode in ("fit", "pad") and bool(self.width or self.height)
        is_seen = mode == "pad" or self.format in OPAQUE
        return dataclasses.replace(
            self,
            mode=mode,
            enlarge=self.enlarge and is_free,
            focus=self.focus if mode == "crop" else CENTRE,
            background=self.background if is_seen else WHITE,
            auto=self.auto and self.format in JPEG_INSTEAD,
        )

    @classmethod
    def from_name(cls, name: str) -> Recipe:
        """Read a recipe back from a variant's file name.  Raises ValueError."""
        found = NAME.fullmatch(name)
        recipe = cls._of(found) if found else None
        if not recipe or not recipe.is_possible or recipe.canonical().name != name:
            raise ValueError(f"{name!r} is not the name of a variant")
        return recipe

    @classmethod
    def _of(cls, found: re.Match[str]) -> Recipe:
        formats = {value: key for key, value in EXTENSIONS.items()}
        return cls(
            int(found["width"]),
            int(found["height"]),
            found["mode"],
            bool(found["up"]),
            formats[found["extension"]],
            int(found["quality"]),
            Focus(int(found["x"]), int(found["y"])) if found["x"] else CENTRE,
            int(found["trim"]) if found["trim"] else None,
            found["background"] or WHITE,
            bool(found["auto"]),
        )

    @property
    def is_possible(self) -> bool:
        """Say whether there is something to be made, within the bounds of each option."""
        sides = bool(self.width) + bool(self.height)
        least = 2 if self.mode in NEED_BOTH_SIDES else 0 if self.trim is not None else 1
        is_bounded = max(self.focus) <= WHOLE and (self.trim or 0) <= MOST_TOLERANCE
        return sides >= least and is_bounded and 1 <= self.quality <= MOST_QUALITY
