"""Colours that a PNG tells by the exponent of its curve (gAMA) and its primaries (cHRM)."""

from __future__ import annotations

import functools
import struct

from image_cloud.resize.profiles import icc
from image_cloud.resize.profiles.icc import Point

PARTS = 100_000
SRGB_GAMMA, ABOUT = 45_455, 0.05
"""What an exponent may differ by from sRGB's to be taken for that, where no primaries are told."""
SRGB_POINTS = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""White, red, green, blue."""


@functools.lru_cache(maxsize=16)
def profile(gamma: bytes, chromaticities: bytes) -> bytes:
    """Return an ICC profile of what the bodies of two chunks say; empty where that is sRGB or nothing.

    Primaries without an exponent say nothing, and an exponent beside impossible ones does not either.
    """
    exponent = int.from_bytes(gamma, "big") if len(gamma) == 4 else 0
    points = struct.unpack(">8I", chromaticities) if len(chromaticities) == 32 else None
    if not exponent or (points is None and abs(exponent / SRGB_GAMMA - 1) < ABOUT):
        return b""
    try:
        white, *primaries = _pairs(points or SRGB_POINTS)
        return icc.profile(primaries, white, lambda value: float(value ** (PARTS / exponent)))
    except ArithmeticError:
        return b""


def _pairs(numbers: tuple[int, ...]) -> list[Point]:
    return [(x / PARTS, y / PARTS) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
