"""What a node knows of a picture."""

from __future__ import annotations

from typing import TypedDict


class Validators(TypedDict):
    """What the origin recognises its bytes by, None where it told none."""

    etag: str | None
    last_modified: str | None


class Info(TypedDict):
    """What /image_info answers (docs/api.md).

    `width` and `height` are upright, times seconds since 1970, `average_colour` is RRGGBB, `dhash` 16 hex
    digits.
    """

    url: str
    key: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str
    stored_at: float
    checked_at: float
    stored_from: str
    origin: Validators
    animated: bool
    has_alpha: bool
    orientation: int
    average_colour: str
    dhash: str
