"""Colours of high dynamic range (PQ, HLG), brought to the standard range as Chromium does it.

What is brighter than a page's white is compressed by the brightest of a colour's three parts in BT.2020, so
that its hue stays (the reference white tone mapping operator of SMPTE ST 2094-50).  As each part depends on
all three, the profile has a table of colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from image_cloud.resize.profiles import icc
from image_cloud.resize.profiles.icc import Matrix, Point, Vector

PQ, HLG = 16, 18
REFERENCE_WHITE, USUAL_PEAK = 203.0, 1000.0
"""cd/m2: the white of a page, and the brightest where the picture says nothing."""
BEND = 0.65
"""Where the curve between the two bends."""
HLG_GAMMA = 1.2
GRID = 25

Points = tuple[tuple[Point, Point, Point], Point]
"""Red, green, blue, and white."""


def profile(transfer: int, own: Points, wide: Points, srgb: Points, peak: float) -> bytes:
    """Return an ICC profile of colours whose primaries are `own`; `peak` is the brightest, cd/m2.

    `wide` are the primaries in which brightness is compressed, `srgb` those that are shown.
    """
    from_own = icc.to_d50(*own)
    to_wide = icc.product(icc.inverse(icc.to_d50(*wide)), from_own)
    to_srgb = icc.product(icc.inverse(icc.to_d50(*srgb)), from_own)
    luminance = icc.luminance(*own)
    colours = (
        icc.lab_of(_clipped(_shown(light, to_wide, to_srgb, peak)), icc.to_d50(*srgb))
        for light in _lights(transfer, luminance)
    )
    return icc.table_profile(GRID, colours)


def _lights(transfer: int, luminance: Vector) -> Iterator[Vector]:
    """Yield the light of each colour of the table in cd/m2, blue the fastest."""
    decode = _pq if transfer == PQ else _hlg
    steps = [decode(step / (GRID - 1)) for step in range(GRID)]
    for red in steps:
        for green in steps:
            for blue in steps:
                colour = [red, green, blue]
                yield colour if transfer == PQ else _displayed(colour, luminance)


def _pq(value: float) -> float:
    """Return cd/m2."""
    root = value ** (1 / 78.84375)
    light = max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    return 10_000 * float(light ** (1 / 0.1593017578125))


def _hlg(value: float) -> float:
    """Return the light of the scene, 0 to 1."""
    if value <= 0.5:
        return value**2 / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _displayed(scene: Vector, luminance: Vector) -> Vector:
    """Return what a display of the usual peak shows of a scene's light."""
    whole = sum(part * share for part, share in zip(scene, luminance, strict=True))
    factor = USUAL_PEAK * whole ** (HLG_GAMMA - 1) if whole > 0 else 0.0
    return [factor * part for part in scene]


def _shown(light: Vector, to_wide: Matrix, to_srgb: Matrix, peak: float) -> Vector:
    brightest = max(icc.times(to_wide, light))
    factor = compressed(brightest, peak) / brightest if brightest > 0 else 0.0
    return [factor * part for part in icc.times(to_srgb, light)]


def _clipped(colour: Vector) -> Vector:
    return [min(max(part, 0.0), 1.0) for part in colour]


def compressed(light: float, peak: float) -> float:
    """Bring a brightness in cd/m2 to 0 to 1, the picture's `peak`.

    Up to the reference white a straight line, from there a quadratic Bezier curve without a corner.
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
