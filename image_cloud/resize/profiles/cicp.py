"""Colours that are given as numbers (ISO/IEC 23091-2) instead of as a profile: make the profile.

AVIF, HEIC and PNG name their primaries and their transfer so.
"""

from __future__ import annotations

import functools

from image_cloud.resize.profiles import hdr, icc
from image_cloud.resize.profiles.hdr import Points
from image_cloud.resize.profiles.icc import Curve, Point

BT709, BT2020 = 1, 9
D65: Point = (0.3127, 0.3290)
C: Point = (0.310, 0.316)
DCI: Point = (0.314, 0.351)
E: Point = (1 / 3, 1 / 3)
LEAST = 1e-6
"""Stands for zero, by which nothing can be divided."""
PRIMARIES: dict[int, Points] = {
    BT709: (((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), D65),
    4: (((0.670, 0.330), (0.210, 0.710), (0.140, 0.080)), C),
    5: (((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), C),
    BT2020: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    10: (((1.0, LEAST), (0.0, 1.0), (0.0, LEAST)), E),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), DCI),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
CAMERAS = frozenset({1, 6, 11, 14, 15})
"""Transfers of cameras.  Those of a PNG are shown as a television does (BT.1886), others as sRGB's."""


@functools.lru_cache(maxsize=16)
def profile(primaries: int, transfer: int, peak: int = 0, *, is_png: bool = False) -> bytes:
    """Return an ICC profile of what the numbers say, empty where that is sRGB or nothing known.

    `peak` is the brightest of a picture of high dynamic range, cd/m2; 0 if that is not known.
    """
    points = PRIMARIES.get(primaries, PRIMARIES[BT709])
    if transfer in (hdr.PQ, hdr.HLG):
        wide, srgb = PRIMARIES[BT2020], PRIMARIES[BT709]
        return hdr.profile(transfer, points, wide, srgb, peak or hdr.USUAL_PEAK)
    curve = _power(2.4) if is_png and transfer in CAMERAS else TRANSFERS.get(transfer)
    if points == PRIMARIES[BT709] and curve is None:
        return b""
    return icc.profile(*points, curve or _srgb)


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _power(exponent: float) -> Curve:
    return lambda value: float(value**exponent)


def _smpte_240(value: float) -> float:
    return value / 4 if value <= 0.0913 else float(((value + 0.1115) / 1.1115) ** (1 / 0.45))


def _smpte_428(value: float) -> float:
    return float(min(52.37 / 48 * value**2.6, 1.0))


TRANSFERS: dict[int, Curve] = {
    4: _power(2.2), 5: _power(2.8), 7: _smpte_240, 8: _power(1.0), 17: _smpte_428,
}  # fmt: skip
"""Those that are not shown as if they were sRGB's."""
