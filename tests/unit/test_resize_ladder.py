"""Sizes from the ladder are the original's, as far as anybody can see; an odd ladder is left alone."""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageFilter, ImageStat

from image_cloud.config.sections import Resize
from image_cloud.picture.variant import LADDER, Recipe
from image_cloud.request.params import companions, thumbnail_recipe
from image_cloud.resize import Steps, resize, resize_all, variants, variants_from_ladder
from image_cloud.resize.colour import to_srgb
from tests.unit.pictures import LIMITS, loaded, quarters, saved

LEAST_DB = 38.0  # between ladder and original: nobody sees it
FIRST = Recipe(300, 300)


@functools.cache
def photo(size: tuple[int, int] = (1499, 1121)) -> Image.Image:
    """Return something with the frequencies of a photograph: edges, gradients, a little noise."""
    bands = [Image.effect_mandelbrot(size, (-2.0, -1.2, 1.0, 1.2), steps) for steps in (30, 60, 90)]
    noise = Image.effect_noise(size, 12).convert("L")
    return Image.merge(
        "RGB", [Image.blend(one.filter(ImageFilter.GaussianBlur(1)), noise, 0.1) for one in bands]
    )


def psnr(one: Image.Image, other: Image.Image) -> float:
    one, other = one.convert("RGB"), other.convert("RGB")
    assert one.size == other.size
    mean = sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2) / (
        one.width * one.height * 3
    )
    return 10 * math.log10(255**2 / mean) if mean else 99.0


def resize_with_ladder(
    path: Path, recipes: list[Recipe], limits: Resize, steps: Steps
) -> tuple[list[bytes], bytes | None]:
    with path.open("rb") as file:
        made = list(variants(file, recipes, limits, steps))
    return made[: len(recipes)], next(iter(made[len(recipes) :]), None)


def resize_from_ladder(path: Path, recipes: list[Recipe], limits: Resize) -> list[bytes] | None:
    with path.open("rb") as file:
        return variants_from_ladder(file, recipes, limits)


def ladder_of(path: Path, recipe: Recipe = FIRST, steps: Steps = Steps.AS_DECODED) -> Path:
    _, data = resize_with_ladder(path, [recipe], LIMITS, steps)
    assert data
    ladder = path.with_name(LADDER)
    ladder.write_bytes(data)
    return ladder


def from_ladder(ladder: Path, recipe: Recipe) -> Image.Image:
    made = resize_from_ladder(ladder, [recipe], LIMITS)
    assert made, "the ladder was not used"
    return loaded(made[0])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
@pytest.mark.parametrize("recipe", [
    FIRST, Recipe(200, 200), Recipe(97, 0), Recipe(0, 111), Recipe(150, 250, "pad"),
    Recipe(90, 90, "stretch"),
], ids=lambda recipe: recipe.name)  # fmt: skip
def test_the_ladder_gives_the_same_picture(
    tmp_path: Path, options: dict[str, Any], recipe: Recipe
) -> None:
    path = saved(tmp_path, photo(), "jpeg", **options)
    found = from_ladder(ladder_of(path), recipe)
    assert psnr(found, loaded(resize(path, recipe, LIMITS))) > LEAST_DB


def test_no_worse_than_the_original_against_a_full_quality_reference(tmp_path: Path) -> None:
    path = saved(tmp_path, photo(), "jpeg", quality=90)
    found = from_ladder(ladder_of(path), Recipe(200, 200))
    direct = loaded(resize(path, Recipe(200, 200), LIMITS))
    reference = photo().resize(found.size, Image.Resampling.LANCZOS)
    assert psnr(found, reference) > psnr(direct, reference) - 0.3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1601, 1203), (1207, 1605)])
def test_every_orientation(tmp_path: Path, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, quarters(size), "jpeg", exif=exif)
    found = from_ladder(ladder_of(path), Recipe(128, 128))
    assert psnr(found, loaded(resize(path, Recipe(128, 128), LIMITS))) > 30


def test_other_colours(tmp_path: Path) -> None:
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    for name, image, options in [
        ("grey", photo().convert("L"), {}), ("cmyk", photo().convert("CMYK"), {}),
        ("profile", photo(), {"icc_profile": wide.tobytes()}),
    ]:  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        path = saved(folder, image, "jpeg", **options)
        found = from_ladder(ladder_of(path), Recipe(128, 128))
        direct = loaded(resize(path, Recipe(128, 128), LIMITS))
        assert found.mode == direct.mode
        assert psnr(found, direct) > LEAST_DB, name
        assert "icc_profile" not in found.info
    assert to_srgb(photo((8, 8)), b"").mode == "RGB"


def test_a_size_that_needs_more_than_the_ladder_has(tmp_path: Path) -> None:
    ladder = ladder_of(saved(tmp_path, quarters((3000, 2000)), "jpeg"))
    assert resize_from_ladder(ladder, [Recipe(900, 900)], LIMITS) is None
    assert resize_from_ladder(ladder, [Recipe(200, 200), Recipe(900, 900)], LIMITS) is None


def test_a_fine_ladder_has_more(tmp_path: Path) -> None:
    path = saved(tmp_path, photo((1500, 1200)), "jpeg")
    assert resize_from_ladder(ladder_of(path, Recipe(90, 90)), [Recipe(700, 700)], LIMITS) is None
    found = from_ladder(ladder_of(path, Recipe(90, 90), Steps.FINE), Recipe(700, 700))
    assert psnr(found, loaded(resize(path, Recipe(700, 700), LIMITS))) > LEAST_DB


def test_no_ladder_where_it_is_of_no_use(tmp_path: Path) -> None:
    png = saved(tmp_path, quarters((1500, 1200)), "png")
    assert resize_with_ladder(png, [FIRST], LIMITS, Steps.FINE)[1] is None
    small = saved(tmp_path, quarters((400, 300)), "jpeg")
    assert resize_with_ladder(small, [FIRST], LIMITS, Steps.FINE)[1] is None
    large = saved(tmp_path, quarters((1700, 1300)), "jpeg")
    assert resize_with_ladder(large, [Recipe(800, 800)], LIMITS, Steps.AS_DECODED)[1] is None
    assert resize_with_ladder(large, [FIRST], LIMITS, Steps.NONE)[1] is None
    none = Resize(ladder_side=0)
    assert resize_with_ladder(large, [FIRST], none, Steps.FINE)[1] is None


def test_an_odd_ladder_is_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, photo(), "jpeg")
    ladder = ladder_of(path)
    good = ladder.read_bytes()
    plain = io.BytesIO()
    photo((300, 200)).save(plain, "JPEG")
    comments = [
        b"image-cloud ladder 1499 1121 1 8",
        b"image-cloud ladder 9 9 1 4",
        b"image-cloud ladder 1499 1121 0 4",
    ]
    odd = [b"", b"no picture", good[: len(good) // 2], good[:-2], plain.getvalue()]
    odd += [good.replace(b"image-cloud ladder 1499 1121 1 4", comment) for comment in comments]
    for data in odd:
        assert data != good
        ladder.write_bytes(data)
        made = resize_from_ladder(ladder, [Recipe(100, 100)], LIMITS)
        assert made is None or data == good[:-2], data[:40]


def test_other_formats_come_from_the_original(tmp_path: Path) -> None:
    ladder = ladder_of(saved(tmp_path, photo(), "jpeg"))
    assert resize_from_ladder(ladder, [Recipe(100, 100, format="png")], LIMITS) is None


# --- companions ----------------------------------------------------------------------------------


def test_companions_are_what_the_ini_names() -> None:
    settings = Resize(thumbnails_together=(200, 250))
    assert companions(thumbnail_recipe(200, settings), settings) == [
        thumbnail_recipe(250, settings)
    ]
    assert companions(thumbnail_recipe(100, settings), settings) == []
    assert companions(Recipe(200, 200, quality=84), settings) == []
    assert companions(thumbnail_recipe(200, settings), Resize(thumbnails_together=())) == []


def test_a_companion_is_encoded_quickly_and_to_the_same_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path, photo(), "jpeg")
    recipes = [Recipe(200, 200), Recipe(250, 250)]
    companion = resize_all(path, recipes, LIMITS)[1]
    asked_for = resize_all(path, recipes[::-1], LIMITS)[0]
    assert loaded(companion).tobytes() == loaded(asked_for).tobytes()
    assert len(companion) > len(asked_for)


def test_a_companion_is_the_same_picture(tmp_path: Path) -> None:
    path = saved(tmp_path, photo(), "jpeg", progressive=True)
    recipes = [Recipe(200, 200), Recipe(250, 250)]
    for together, recipe in zip(resize_all(path, recipes, LIMITS), recipes, strict=True):
        assert psnr(loaded(together), loaded(resize(path, recipe, LIMITS))) > 36
