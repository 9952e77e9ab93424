"""Background: the colour of the canvas, and under transparency where the format has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from tests.unit.pictures import LIMITS, close, pixel, quarters, saved, swapped_profile, variant

ORANGE = (255, 128, 0)


@pytest.mark.parametrize("format", ["png", "bmp", "tiff", "webp", "jpeg", "gif", "avif"])
def test_the_canvas_of_a_padded_picture(tmp_path: Path, format: str) -> None:
    path = saved(tmp_path, Image.new("RGB", (40, 40), "black"), "png")
    found = variant(path, 100, 40, mode="pad", background="ff8000", format=format).convert("RGB")
    seen = [pixel(found, x, 20) for x in (5, 29, 50, 70, 95)]
    within = 0 if format in ("png", "bmp", "tiff") else 12
    if not within:
        assert seen == [ORANGE, ORANGE, (0, 0, 0), ORANGE, ORANGE]
    assert close([seen[0], seen[2], seen[4]], [ORANGE, (0, 0, 0), ORANGE], 12)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_gets_a_coloured_canvas_and_stays_grey_on_a_grey_one(
    tmp_path: Path, mode: str
) -> None:
    path = saved(tmp_path, Image.new("L", (40, 40)).convert(mode), "png")
    coloured = variant(path, 80, 40, mode="pad", background="ff8000", format="png")
    assert pixel(coloured.convert("RGB"), 2, 2) == ORANGE
    assert pixel(coloured.convert("RGB"), 40, 20) == (0, 0, 0)
    if mode in ("L", "LA"):
        grey = variant(path, 80, 40, mode="pad", background="404040", format="png")
        assert (grey.mode, pixel(grey, 2, 2)) == ("L", (0x40,))


@pytest.mark.parametrize("mode", ["fit", "stretch", "crop", "pad"])
@pytest.mark.parametrize("format", ["bmp", "jpeg"])
def test_under_transparency(tmp_path: Path, format: str, mode: str) -> None:
    image = Image.new("RGBA", (40, 40), (10, 200, 30, 0))
    image.paste((0, 0, 0, 128), (0, 0, 20, 40))
    path = saved(tmp_path, image, "png")
    found = variant(path, 40, 40, mode=mode, background="ff8000", format=format)
    mixed = tuple(round(level * (1 - 128 / 255)) for level in ORANGE)
    within = 1 if format == "bmp" else 8
    assert close([pixel(found, x, 20) for x in (8, 32)], [mixed, ORANGE], within)


def test_padded_pictures_have_no_alpha_left(tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    found = variant(saved(tmp_path, image, "png"), 60, 60, mode="pad", background="ff8000")
    assert found.mode == "RGB"
    assert found.getcolors() == [(3600, ORANGE)]


def test_formats_with_alpha_keep_it(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (40, 40), (1, 2, 3, 0)), "png")
    for format in ("png", "webp", "tiff", "avif", "gif"):
        recipe = Recipe(20, 20, format=format, background="ff8000")
        found = variant(path, 20, 20, format=format, background="ff8000").convert("RGBA")
        assert pixel(found, 5, 5)[3] == 0
        assert recipe.canonical() == Recipe(20, 20, format=format)
        assert resize(path, recipe, LIMITS) == resize(path, recipe.canonical(), LIMITS)


def test_the_background_is_in_srgb_whatever_the_picture_is_in(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters((40, 40)), "png", icc_profile=swapped_profile())
    found = variant(path, 80, 40, mode="pad", background="ff8000")
    assert pixel(found, 2, 2) == ORANGE
