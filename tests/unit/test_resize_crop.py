"""Crop: the box is filled and what is over is cut, to the pixel, of the upright picture."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter, TooManyPixels
from image_cloud.picture.geometry import Box, Size, cropped, layout
from image_cloud.picture.variant import CENTRE, GRAVITIES, Focus, Recipe
from image_cloud.resize import resize
from image_cloud.resize.render.pixels import UPRIGHT
from tests.corpus import exact
from tests.corpus.reference import psnr_db, reference
from tests.unit.pictures import (
    GREEN,
    LIMITS,
    RED,
    WHITE,
    close,
    loaded,
    pixel,
    quarters,
    saved,
    swapped_profile,
    variant,
)
from tests.unit.test_resize_jpeg_scans import photo

sides = st.integers(1, 24)
focuses = st.builds(Focus, st.integers(0, 1000), st.integers(0, 1000))
MOST_LOSS_DB = 0.3
NEVER_SCALED = 1000.0
STORED = {turn: {6: 8, 8: 6}.get(turn, turn) for turn in UPRIGHT}
"""The turn that undoes each."""


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """Return levels so near to grey that no overshoot of a filter is cut off."""
    levels = random.Random(seed).randbytes(3 * width * height)
    return Image.frombytes("RGB", (width, height), bytes(96 + level // 4 for level in levels))


def shares(focus: Focus) -> exact.Focus:
    return Fraction(focus.x, 1000), Fraction(focus.y, 1000)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(sides, sides, sides, sides, focuses, st.integers(1, 8))
def test_every_pixel(
    tmp_path: Path, width: int, height: int, wide: int, high: int, focus: Focus, orientation: int
) -> None:
    upright = noise(width, height)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(UPRIGHT[STORED[orientation]]) if orientation > 1 else upright
    path = saved(tmp_path, stored, "png", exif=exif)
    found = variant(path, wide, high, mode="crop", focus=focus)
    if (
        max(width / wide, height / high) < 6
    ):  # from there on PIL averages first, as for all pictures
        assert exact.worst(found, exact.cropped(upright, (wide, high), shares(focus))) <= 2
    assert found.size == (wide, high)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("gravity", GRAVITIES)
def test_nothing_is_resampled_where_nothing_is_scaled(
    tmp_path: Path, gravity: str, orientation: int
) -> None:
    upright = noise(41, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(UPRIGHT[STORED[orientation]]) if orientation > 1 else upright
    path = saved(tmp_path, stored, "png", exif=exif)
    left = 0 if "west" in gravity else 11 if "east" in gravity else 5
    found = variant(path, 30, 30, mode="crop", focus=GRAVITIES[gravity])
    assert found.tobytes() == upright.crop((left, 0, left + 30, 30)).tobytes()
    upper = 0 if "north" in gravity else 7 if "south" in gravity else 3
    found = variant(path, 41, 23, mode="crop", focus=GRAVITIES[gravity])
    assert found.tobytes() == upright.crop((0, upper, 41, upper + 23)).tobytes()


@pytest.mark.parametrize(
    ("focus", "left"),
    [((0, 500), 0), ((150, 500), 0), ((250, 500), 10), ((500, 500), 35), ((700, 0), 55),
     ((999, 500), 70), ((1000, 1000), 70)],
)  # fmt: skip
def test_the_focus_is_amid_the_picture_as_far_as_that_goes(
    focus: tuple[int, int], left: int
) -> None:
    assert cropped(Size(100, 30), Size(30, 30), Focus(*focus)) == (left, 0, left + 30, 30)
    turned = Focus(focus[1], focus[0])
    assert cropped(Size(30, 100), Size(30, 30), turned) == (0, left, 30, left + 30)


@given(
    st.integers(1, 60_000),
    st.integers(1, 60_000),
    st.integers(1, 5000),
    st.integers(1, 5000),
    focuses,
)
def test_what_is_kept_has_the_shape_of_the_box(
    width: int, height: int, wide: int, high: int, focus: Focus
) -> None:
    part = cropped(Size(width, height), Size(wide, high), focus)
    assert 0 <= part.left < part.right <= width
    assert 0 <= part.upper < part.lower <= height
    assert part.width == width or part.height == height
    shape = part.width * high, part.height * wide
    assert abs(shape[0] - shape[1]) < 1e-6 * max(shape) + 1e-3
    scale = max(Fraction(wide, width), Fraction(high, height))
    for share, side, kept, begin in (
        (focus.x, width, part.width, part.left), (focus.y, height, part.height, part.upper),
    ):  # fmt: skip
        wanted = min(max(share / 1000 * side - kept / 2, 0), side - kept)
        assert abs(begin - wanted) <= 1 / scale + 1e-6 * side


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 8))
def test_a_part_is_found_in_the_picture_as_stored(
    width: int, height: int, orientation: int
) -> None:
    stored = Image.new("L", (width, height))
    stored.putpixel((width // 3, height // 4), 255)
    upright = stored.transpose(UPRIGHT[orientation]) if orientation > 1 else stored
    box = upright.getbbox()
    assert box
    part = Box(*box).stored(orientation, Size(*upright.size))
    assert part == (width // 3, height // 4, width // 3 + 1, height // 4 + 1)


@pytest.mark.parametrize(
    ("size", "box"),
    [((5000, 4), (1, 5000)), ((4, 5000), (5000, 1)), ((1, 1), (50, 3)), ((1, 900), (3, 3)),
     ((900, 1), (1, 900)), ((3, 2), (5000, 5000))],
)  # fmt: skip
def test_extreme_shapes(tmp_path: Path, size: tuple[int, int], box: tuple[int, int]) -> None:
    path = saved(tmp_path, Image.new("RGB", size, RED), "png")
    for focus in (CENTRE, Focus(0, 0), Focus(1000, 1000), Focus(333, 667)):
        found = variant(path, *box, mode="crop", focus=focus, format="jpeg")
        assert found.size == box
        assert close(pixel(found, box[0] - 1, box[1] - 1), RED)


def test_no_more_than_the_limits_allow() -> None:
    recipe = Recipe(5000, 5000, "crop", format="png")
    assert layout(Size(1, 1), recipe, 25_000_000).canvas == (5000, 5000)
    with pytest.raises(TooManyPixels, match="5000 x 5000"):
        layout(Size(1, 1), recipe, 24_999_999)
    with pytest.raises(BadParameter, match="16383 a side"):
        layout(Size(9, 9), Recipe(20_000, 1, "crop", format="webp"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(200, 200, "crop"), Recipe(90, 400, "crop"), Recipe(390, 60, "crop", focus=Focus(500, 0)),
        Recipe(150, 150, "crop", focus=Focus(813, 207)), Recipe(20, 600, "crop", focus=Focus(1000, 0)),
    ],
    ids=lambda recipe: recipe.name,
)  # fmt: skip
def test_a_crop_of_a_scaled_jpeg_is_as_sharp(
    tmp_path: Path, recipe: Recipe, progressive: bool
) -> None:
    path = tmp_path / "photo.jpg"
    photo((1607, 1203)).save(path, quality=88, progressive=progressive)
    wanted = reference(path, recipe)
    scaled, whole = (
        resize(path, recipe, limits) for limits in (Resize(), Resize(reducing_gap=NEVER_SCALED))
    )
    assert scaled != whole, "not scaled"
    scaled_db, whole_db = (psnr_db(loaded(one).convert("RGBA"), wanted) for one in (scaled, whole))
    assert scaled_db > whole_db - MOST_LOSS_DB


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("recipe", [
    Recipe(120, 120, "crop", format="png"), Recipe(60, 180, "crop", format="png", focus=Focus(900, 100)),
], ids=lambda recipe: recipe.name)  # fmt: skip
def test_a_scaled_jpeg_is_cut_at_the_same_place(
    tmp_path: Path, recipe: Recipe, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, photo((1607, 1203)), "jpeg", quality=92, exif=exif)
    assert (
        psnr_db(loaded(resize(path, recipe, LIMITS)).convert("RGBA"), reference(path, recipe)) > 42
    )


@pytest.mark.parametrize(
    ("options", "format"),
    [
        ({"icc_profile": swapped_profile()}, "jpeg"), ({}, "webp"), ({}, "gif"), ({}, "bmp"), ({}, "tiff"),
        ({"save_all": True, "append_images": [Image.new("RGB", (160, 120))]}, "gif"),
        ({"save_all": True, "append_images": [Image.new("RGB", (160, 120))]}, "webp"),
    ],
)  # fmt: skip
def test_of_every_format(tmp_path: Path, options: dict[str, object], format: str) -> None:
    path = saved(tmp_path, quarters(), format, **options)
    found = variant(path, 40, 80, mode="crop", focus=GRAVITIES["east"]).convert("RGB")
    colours = [GREEN, WHITE]
    if "icc_profile" in options:
        colours = [colour[::-1] for colour in colours]
    assert close([pixel(found, 20, y) for y in (10, 70)], colours, 14)


def test_cmyk_and_deep_pictures(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters().convert("CMYK"), "tiff")
    assert close(pixel(variant(path, 30, 60, mode="crop", focus=Focus(0, 0)), 15, 10), RED, 12)
    deep = Image.new("I;16", (60, 20), 65535)
    deep.paste(0, (0, 0, 20, 20))
    path = saved(tmp_path, deep, "png")
    found = [variant(path, 9, 9, mode="crop", focus=Focus(x, 0)) for x in (0, 1000)]
    assert [pixel(one, 4, 4) for one in found] == [(0,), (255,)]


def test_alpha_is_kept_where_the_format_has_it(tmp_path: Path) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 80, 120))
    path = saved(tmp_path, image, "png")
    for format in ("png", "webp", "tiff", "avif", "gif"):
        found = variant(path, 60, 60, mode="crop", format=format).convert("RGBA")
        assert [pixel(found, x, 5)[3] for x in (5, 54)] == [0, 255]
    shown = variant(path, 60, 60, mode="crop", format="jpeg", background="102030")
    assert close(pixel(shown, 5, 5), (0x10, 0x20, 0x30))
    assert close(pixel(shown, 54, 5), GREEN)


def test_a_heif_is_cut_within_its_own_crop() -> None:
    part = layout(Size(100, 50), Recipe(50, 50, "crop", focus=Focus(1000, 0))).part
    assert part == (50, 0, 100, 50)
    assert part.stored(6, Size(100, 50)) == (0, 0, 50, 50)


def test_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    path = saved(tmp_path, photo((300, 200)), "png")
    one, other = (resize(path, Recipe(77, 99, "crop"), LIMITS) for _ in range(2))
    assert one == other
    assert Image.open(io.BytesIO(one)).size == (77, 99)
