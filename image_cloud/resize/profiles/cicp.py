"""Colours that are given as numbers (ISO/IEC 23091-2) instead of as a profile: make the profile.

AVIF, HEIC and PNG name their primaries and their transfer so.  High dynamic range (PQ, HLG) is brought to the
standard range much as Chromium does it.
"""

from __future__ import annotations

import functools
import math

from image_cloud.resize.profiles import icc
from image_cloud.resize.profiles.icc import Curve, Point

BT709 = 1
D65: Point = (0.3127, 0.3290)
C: Point = (0.310, 0.316)
DCI: Point = (0.314, 0.351)
PRIMARIES: dict[int, tuple[tuple[Point, Point, Point], Point]] = {
    BT709: (((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), D65),
    4: (((0.670, 0.330), (0.210, 0.710), (0.140, 0.080)), C),
    5: (((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), DCI),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
"""Red, green, blue, and white."""
REFERENCE_WHITE, USUAL_PEAK = 203.0, 1000.0
"""cd/m2: the white of a page, and the brightest where the picture says nothing."""
BEND = 0.65
"""Where the curve between the two bends."""


@functools.lru_cache(maxsize=16)
def profile(primaries: int, transfer: int, peak: int = 0) -> bytes:
    """Return an ICC profile of what the numbers say, empty where that is sRGB or nothing known.

    `peak` is the brightest of a picture of high dynamic range, cd/m2; 0 if that is not known.
    """
    curve = _curve(transfer, peak or USUAL_PEAK)
    if (primaries not in PRIMARIES or primaries == BT709) and curve is None:
        return b""
    points, white = PRIMARIES.get(primaries, PRIMARIES[BT709])
    return icc.profile(points, white, curve or _srgb)


def _curve(transfer: int, peak: float) -> Curve | None:
    if transfer in BRIGHTNESSES:
        brightness = BRIGHTNESSES[transfer]
        return lambda value: _compressed(brightness(value), peak)
    return TRANSFERS.get(transfer)


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _power(exponent: float) -> Curve:
    return lambda value: float(value**exponent)


def _smpte_240(value: float) -> float:
    return value / 4 if value <= 0.0913 else float(((value + 0.1115) / 1.1115) ** (1 / 0.45))


def _pq(value: float) -> float:
    root = value ** (1 / 78.84375)
    light = max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    return 10_000 * float(light ** (1 / 0.1593017578125))


def _hlg(value: float) -> float:
    scene = value**2 / 3
    if value > 0.5:
        scene = (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return USUAL_PEAK * float(scene**1.2)


def _compressed(light: float, peak: float) -> float:
    """Bring a brightness in cd/m2 to 0 to 1, the picture's `peak`.

    Up to the reference white a straight line, from there a quadratic Bezier curve without a corner: the
    reference white tone mapping operator of SMPTE ST 2094-50, which Chromium uses.
    """
    value, most = light / REFERENCE_WHITE, max(peak / REFERENCE_WHITE, 1.0)
    usual = math.log2(USUAL_PEAK / REFERENCE_WHITE)
    white = 1 - min(math.log2(most) / usual, 1.0) / 2
    if value <= 1 or value >= most:
        return min(value, 1.0) * white if value <= 1 else 1.0
    bend_x, bend_y = 1 - BEND + BEND / white, white + BEND * (1 - white)
    square, line = 1 - 2 * bend_x + most, 2 * (bend_x - 1)
    # Where along the curve `value` is, 0 to 1.
    place = 2 * (value - 1) / (line + math.sqrt(line**2 + 4 * square * (value - 1)))
    return (1 - place) ** 2 * white + 2 * place * (1 - place) * bend_y + place**2


TRANSFERS: dict[int, Curve] = {
    4: _power(2.2), 5: _power(2.8), 7: _smpte_240, 8: _power(1.0), 17: _power(2.6),
}  # fmt: skip
"""Those that are not shown as if they were sRGB's, as 1, 6, 14 and 15 are everywhere."""
BRIGHTNESSES: dict[int, Curve] = {16: _pq, 18: _hlg}
"""Those of high dynamic range: they mean cd/m2."""
