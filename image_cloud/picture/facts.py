"""What only decoding tells of a picture."""

from __future__ import annotations

import dataclasses
import json
import re

from image_cloud.process import json_file
from image_cloud.process.typed import fit

FILE = "facts.json"
"""Where they are kept, beside the variants."""
MOST_BYTES = 1024
LARGEST_PX = 2**31 - 1
HASH_BITS = 64
_COLOUR, _HASH = re.compile("[0-9a-f]{6}"), re.compile("[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts of one original.

    `width` and `height` are pixels, upright.  `orientation` is what EXIF says, 1 to 8.
    `has_alpha` says whether the file has alpha, or a transparent colour.
    `average_colour` is RRGGBB in lower case, in sRGB; `dhash` 16 hex digits.
    """

    width: int
    height: int
    animated: bool
    has_alpha: bool
    orientation: int
    average_colour: str
    dhash: str

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        sides = (self.width, self.height)
        is_possible = (
            all(0 < side <= LARGEST_PX for side in sides)
            and 1 <= self.orientation <= 8
            and _COLOUR.fullmatch(self.average_colour)
            and _HASH.fullmatch(self.dhash)
        )
        if not is_possible:
            raise ValueError("impossible facts")

    def written(self) -> bytes:
        """Return them as JSON."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def read(cls, content: bytes) -> Facts:
        """Read what `written` returns.  Raises ValueError."""
        if len(content) > MOST_BYTES:
            raise ValueError("too long for facts")
        return fit(cls, json_file.parse(content))
