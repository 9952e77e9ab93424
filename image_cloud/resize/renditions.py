"""From a stored original to the bytes of its variants: decode once, derive each."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from image_cloud import errors
from image_cloud.config.sections import Resize
from image_cloud.errors import NotAnImage, UnsupportedFormat
from image_cloud.picture.facts import Facts
from image_cloud.picture.formats import HEAD_BYTES, Format, describe, sniff
from image_cloud.picture.variant import Recipe
from image_cloud.resize import ladder
from image_cloud.resize.decode import Decoded, decode, decode_ladder, decode_whole
from image_cloud.resize.edge import DECODER_ERRORS, public_errors
from image_cloud.resize.encode import encode
from image_cloud.resize.render.facts import facts_of
from image_cloud.resize.render.pixels import rendered

log = logging.getLogger(__name__)


class Steps(enum.Enum):
    """Whether a ladder is made: as fine as what is decoded anyway, or as fine as it may be."""

    NONE = "none"
    AS_DECODED = "as decoded"
    FINE = "fine"


def resize(source: Path, recipe: Recipe, limits: Resize) -> bytes:
    """Return the variant of the picture file `source` that `recipe` asks for."""
    return resize_all(source, [recipe], limits)[0]


def resize_all(source: Path, recipes: Sequence[Recipe], limits: Resize) -> list[bytes]:
    """Return the variants of one picture file, made from one decode, in the recipes' order."""
    with source.open("rb") as file:
        return list(variants(file, recipes, limits))


def variants(
    source: BinaryIO, recipes: Sequence[Recipe], limits: Resize, steps: Steps = Steps.NONE
) -> Iterator[bytes]:
    """Yield the variants of one picture, made from one decode, in the recipes' order.

    The first is what was asked for.  The ladder's file follows where `steps` wants one and it is of use.
    Raises only errors of `image_cloud.errors`.
    """
    format = _accepted(source, limits)
    with public_errors(source, format, limits.max_pixels):
        side_px = limits.ladder_side if steps is Steps.FINE else 0
        decoded = decode(source, format, recipes, limits, side_px)
        yield from _encoded(decoded, recipes, limits)
        if steps is not Steps.NONE and decoded.rung:
            made = ladder.write(decoded.image, decoded.rung, decoded.icc, limits.ladder_side)
            if made:
                yield made


def facts(source: BinaryIO, limits: Resize) -> Facts:
    """Return the facts of one picture.  Raises only errors of `image_cloud.errors`."""
    format = _accepted(source, limits)
    with public_errors(source, format, limits.max_pixels):
        return facts_of(decode_whole(source, format, limits))


def variants_from_ladder(
    source: BinaryIO, recipes: Sequence[Recipe], limits: Resize
) -> list[bytes] | None:
    """Return the variants, made from the ladder's file; None where the original has to do."""
    try:
        source.seek(0)
        data = source.read()
        if not all(recipe.format == "jpeg" and recipe.trim is None for recipe in recipes):
            return None
        decoded = decode_ladder(data, recipes, limits)
        return list(_encoded(decoded, recipes, limits)) if decoded else None
    except (errors.ImageCloudError, *DECODER_ERRORS) as error:
        log.warning("event=odd_ladder error=%s", type(error).__name__)
        return None


def _encoded(decoded: Decoded, recipes: Sequence[Recipe], limits: Resize) -> Iterator[bytes]:
    """Yield the files; all but the first, which was asked for, are encoded quickly."""
    for number, recipe in enumerate(recipes):
        yield encode(rendered(decoded, recipe, limits), recipe, quickly=bool(number))


def _accepted(file: BinaryIO, limits: Resize) -> Format:
    """Return the file's format if it is one that may be decoded."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    format = sniff(head)
    if format is None:
        raise NotAnImage(f"The file is {describe(head)}, not a picture.")
    if format.name not in limits.formats:
        raise UnsupportedFormat(
            f"The picture is {format.name}; these are taken: {', '.join(limits.formats)}."
        )
    return format
