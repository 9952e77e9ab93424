"""Sizes of variants: exact where exact is asked, never larger than the box, shape kept."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.errors import BadParameter, TooManyPixels
from image_cloud.picture.geometry import Size, fit, half_up, layout
from image_cloud.picture.variant import Recipe

sides = st.integers(1, 12_000)
sizes = st.builds(Size, sides, sides)
boxes = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("original", "width", "height", "enlarge", "wanted"),
    [
        ((1600, 1200), 200, 200, False, (200, 150)),
        ((1200, 1600), 200, 200, False, (150, 200)),
        ((1000, 333), 100, 0, False, (100, 33)),
        ((1000, 335), 100, 0, False, (100, 34)),  # 33.5
        ((3, 10000), 100, 100, False, (1, 100)),
        ((10000, 1), 100, 100, False, (100, 1)),
        ((80, 60), 200, 200, False, (80, 60)),
        ((80, 60), 200, 200, True, (200, 150)),
        ((80, 60), 0, 120, True, (160, 120)),
        ((300, 60), 200, 200, False, (200, 40)),
        ((1, 1), 5000, 0, True, (5000, 5000)),
    ],
)
def test_fit(
    original: tuple[int, int], width: int, height: int, enlarge: bool, wanted: tuple[int, int]
) -> None:
    assert fit(Size(*original), width, height, enlarge) == wanted


@given(original=sizes, width=boxes, height=boxes, enlarge=st.booleans())
def test_fit_stays_inside_and_keeps_the_shape(
    original: Size, width: int, height: int, enlarge: bool
) -> None:
    size = fit(original, width, height, enlarge)
    assert 1 <= size.width <= width
    assert 1 <= size.height <= height
    if enlarge:
        assert size.width == width or size.height == height
    else:
        assert size.width <= original.width
        assert size.height <= original.height
    across, down = (Fraction(new, old) for new, old in zip(size, original, strict=True))
    # The side that decides gives the scale; the other is within half a pixel of it.
    scale = min(Fraction(width, original.width), Fraction(height, original.height))
    scale = scale if enlarge else min(scale, Fraction(1))
    assert scale in (across, down)
    for new, old in zip(size, original, strict=True):
        assert new == 1 or abs(new - old * scale) <= Fraction(1, 2)


@given(original=sizes, width=boxes)
def test_a_side_not_given_follows(original: Size, width: int) -> None:
    wide = fit(original, width, 0, True)
    assert wide.width == width
    assert wide.height == max(1, half_up(original.height * width, original.width))
    assert fit(Size(original.height, original.width), 0, width, True) == wide[::-1]


@given(original=sizes, width=boxes, height=boxes, enlarge=st.booleans())
def test_pad_and_stretch_are_exact(original: Size, width: int, height: int, enlarge: bool) -> None:
    padded = layout(original, Recipe(width, height, "pad", enlarge))
    assert padded.canvas == (width, height)
    assert padded.picture == fit(original, width, height, enlarge)
    left, top = padded.corner
    assert 0 <= width - padded.picture.width - 2 * left <= 1
    assert 0 <= height - padded.picture.height - 2 * top <= 1
    stretched = layout(original, Recipe(width, height, "stretch", enlarge))
    assert stretched.picture == stretched.canvas == (width, height)
    assert layout(original, Recipe(width, 0, "stretch")).canvas == (width, original.height)
    assert layout(original, Recipe(0, height, "stretch")).canvas == (original.width, height)


@given(dividend=st.integers(0, 10**9), divisor=st.integers(1, 10**5))
def test_half_up(dividend: int, divisor: int) -> None:
    difference = half_up(dividend, divisor) - Fraction(dividend, divisor)
    assert -Fraction(1, 2) < difference <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("format", "side", "refused"),
    [
        ("webp", 16383, False),
        ("webp", 16384, True),
        ("gif", 65535, False),
        ("gif", 65536, True),
        ("jpeg", 65500, False),
        ("jpeg", 65501, True),
        ("png", 100_000, False),
    ],
)
def test_sides_that_a_format_cannot_hold(format: str, side: int, refused: bool) -> None:
    recipe = Recipe(20, 0, "stretch", format=format)
    if refused:
        with pytest.raises(BadParameter, match=f"20 x {side}"):
            layout(Size(100, side), recipe)
    else:
        assert layout(Size(100, side), recipe).canvas == (20, side)


def test_a_result_with_too_many_pixels() -> None:
    with pytest.raises(TooManyPixels, match="5000 x 50000000"):
        layout(Size(1, 10_000), Recipe(5000, 0, enlarge=True, format="png"), 50_000_000)
