"""The format that a request's Accept decides on, for `auto`; nginx reads it alike (nginx/lua/accept.lua)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from image_cloud.picture.formats import FORMATS

AUTO = "auto"
ALWAYS = "jpeg"
"""What every client shows, whatever it accepts."""
MOST_CHARACTERS = 4096
PRINTABLE = re.compile(r"[\t\x20-\x7e]*")
ESCAPED, QUOTED = re.compile(r"\\."), re.compile(r'"[^"]*"?')
WEIGHT = re.compile(r"[0-9]*\.?[0-9]*")


def format_for(accept: str | None, formats: Sequence[str]) -> str:
    """Return the first of `formats` that `accept` names with a weight above 0, else JPEG.

    Wildcards name none.  A header that is too long, or not printable ASCII, counts as none.
    """
    named = _named(accept or "")
    return next((name for name in formats if FORMATS[name].mime in named), ALWAYS)


def _named(accept: str) -> set[str]:
    """Return the media types that are named with a weight above 0, in lower case."""
    if len(accept) > MOST_CHARACTERS or not PRINTABLE.fullmatch(accept):
        return set()
    plain = QUOTED.sub("_", ESCAPED.sub("_", accept))
    parts = (part.split(";") for part in plain.split(","))
    return {kind.strip(" \t").lower() for kind, *parameters in parts if _is_wanted(parameters)}


def _is_wanted(parameters: Sequence[str]) -> bool:
    """Say whether the first weight among the parameters is above 0; none is 1, and a malformed one 0."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip(" \t").lower() == "q":
            weight = value.strip(" \t")
            return bool(WEIGHT.fullmatch(weight) and weight.strip("0."))
    return True
