"""What a decoder sent, judged like bytes of a stranger: format, dimensions and size that were asked for."""

from __future__ import annotations

import io
from typing import BinaryIO

from image_cloud.config.sections import Resize
from image_cloud.decoding.plan import LARGE_PIXELS
from image_cloud.errors import ImageCloudError
from image_cloud.picture import formats, structure
from image_cloud.picture.facts import Facts
from image_cloud.picture.geometry import ANY_SIZE, Size, layout, most
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe

MOST_PIXEL_BYTES = 6
"""LZW makes noise in RGBA larger than its 4 bytes a pixel."""
MORE_BYTES = 1 << 20
SIDE_OPEN = 0
MOST_PIXELS = 1 << 32
"""More than any picture may have."""


class Expected:
    """What each variant of `original` has to be; its header says how large that is.

    Where the header does not tell, a variant may have any size that fits into its box.
    """

    def __init__(self, original: Original, file: BinaryIO, settings: Resize) -> None:
        self._settings = settings
        self._file = file
        self._is_told = original.size is not None
        self._upright = _upright_sizes(file, original.size)

    @property
    def is_large(self) -> bool:
        """Say whether the original takes much memory, or may do so: its header does not tell."""
        sizes = self._upright
        return not sizes or any(width * height > LARGE_PIXELS for width, height in sizes)

    def most_bytes(self, recipe: Recipe) -> int:
        """Return how many bytes a file of `recipe` may have."""
        sizes = self._sizes(recipe) or {most(one, recipe) for one in self._upright}
        most_pixels = self._settings.max_pixels
        pixels = min(most_pixels, max((w * h for w, h in sizes), default=most_pixels))
        return pixels * MOST_PIXEL_BYTES + MORE_BYTES

    def most_ladder_bytes(self) -> int:
        """Return how many bytes a ladder may have."""
        return self._settings.ladder_side**2 * MOST_PIXEL_BYTES + MORE_BYTES

    def why_wrong(self, content: bytes, recipe: Recipe) -> str:
        """Return what `content` is instead of a variant made by `recipe`; nothing where it is one."""
        file = io.BytesIO(content)
        format = formats.sniff(content[: formats.HEAD_BYTES])
        if format is None or recipe.name_of(content).rpartition(".")[2] != format.extension:
            return f"not {recipe.format}, but {formats.describe(content[: formats.HEAD_BYTES])}"
        size = structure.size_of(file, format.name)
        if size is None:
            return f"{format.name} without a size"
        if self._is_of(recipe, size) or (self._look_again() and self._is_of(recipe, size)):
            return ""
        return f"{size[0]} x {size[1]} pixels"

    def _is_of(self, recipe: Recipe, size: tuple[int, int]) -> bool:
        sizes = self._sizes(recipe)
        return size in sizes if sizes else self._fits(size, recipe)

    def _look_again(self) -> bool:
        """Read the header where the size was only told: another original may have come meanwhile."""
        was_told, self._is_told = self._is_told, False
        if was_told:
            self._upright = _upright_sizes(self._file)
        return was_told

    def why_wrong_ladder(self, content: bytes) -> str:
        """Return what `content` is instead of a ladder."""
        format = formats.sniff(content[: formats.HEAD_BYTES])
        size = structure.size_of(io.BytesIO(content), "jpeg") if format else None
        if format is None or format.name != "jpeg" or size is None:
            return "no JPEG"
        fits = max(size) <= self._settings.ladder_side
        return "" if fits else f"{size[0]} x {size[1]} pixels"

    def why_wrong_facts(self, made: Facts) -> str:
        """Return what `made` says that cannot be of this original."""
        size = Size(made.width, made.height)
        if size in self._upright or (self._look_again() and size in self._upright):
            return ""
        is_possible = not self._upright and made.width * made.height <= MOST_PIXELS
        return "" if is_possible else f"{made.width} x {made.height} pixels"

    def _sizes(self, recipe: Recipe) -> set[Size]:
        """Return the sizes that `recipe` may give, nothing where only the pixels tell."""
        found: set[Size] = set()
        if recipe.trim is not None:
            return found
        for original in self._upright:
            try:
                found.add(layout(original, recipe, self._settings.max_pixels).canvas)
            except ImageCloudError:  # the decoder refuses it as well
                continue
        return found

    def _fits(self, size: tuple[int, int], recipe: Recipe) -> bool:
        """Say whether a variant may have `size` where the original's, or how much is trimmed, is unknown."""
        for side, asked in zip(size, (recipe.width, recipe.height), strict=True):
            if asked != SIDE_OPEN and (side > asked or (recipe.mode != "fit" and side != asked)):
                return False
        bounds = [most(original, recipe) for original in self._upright] or [ANY_SIZE]
        is_within = any(size[0] <= wide and size[1] <= high for wide, high in bounds)
        return is_within and size[0] * size[1] <= self._settings.max_pixels


def _upright_sizes(file: BinaryIO, told: tuple[int, int] | None = None) -> list[Size]:
    """Return the sizes that an original may have upright: its header does not say how it is turned."""
    file.seek(0)
    format = formats.sniff(file.read(formats.HEAD_BYTES))
    size = told or (structure.size_of(file, format.name) if format else None)
    if format is None or size is None:
        return []
    width, height = size
    return [Size(width, height)] if format.is_heif else [Size(width, height), Size(height, width)]
