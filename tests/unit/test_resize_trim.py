"""Trim: a border like the upper left pixel is cut first, to the pixel; and what the background is under."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter, TooManyPixels
from image_cloud.picture.variant import Focus, Recipe
from image_cloud.resize import resize, variants_from_ladder
from image_cloud.resize.heif import codecs
from image_cloud.resize.render.pixels import UPRIGHT
from tests.corpus import exact
from tests.corpus.reference import psnr_db, reference
from tests.photos import PACKAGES, photographs
from tests.unit.pictures import (
    BLUE,
    GREEN,
    LIMITS,
    RED,
    WHITE,
    close,
    corners,
    loaded,
    pixel,
    quarters,
    saved,
    swapped_profile,
    variant,
)
from tests.unit.test_resize_crop import STORED
from tests.unit.test_resize_jpeg_scans import photo

UPRIGHT_COLOURS = [RED, GREEN, BLUE, WHITE]
MOST_RINGING_PX = 17
"""A block of colours of a JPEG at 4:2:0, and what is interpolated from it."""


def bordered(
    inside: Image.Image, size: tuple[int, int], corner: tuple[int, int], border: object = "white"
) -> Image.Image:
    """Return a picture in the midst of a border."""
    image = Image.new(inside.mode, size, border)
    image.paste(inside, corner)
    return image


def product() -> Image.Image:
    """Return something of four colours, none of them white."""
    image = quarters((160, 120))
    image.paste((90, 90, 90), (80, 60, 160, 120))
    return image


def cut(path: Path, tolerance: int = 10, **options: object) -> Image.Image:
    """Return what is left of a picture."""
    return variant(path, 0, 0, trim=tolerance, **options)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.sampled_from(["RGB", "RGBA"]), st.integers(0, 255),
    st.integers(1, 8), st.integers(0, 10_000),
)  # fmt: skip
def test_every_pixel(
    tmp_path: Path, width: int, height: int, mode: str, tolerance: int, orientation: int, seed: int
) -> None:
    """A few pixels differ from the rest, by about as much as may be; alpha is anything."""
    source = random.Random(seed)
    bands = len(mode)
    upright = Image.new(mode, (width, height), tuple(source.randbytes(bands)))
    for _ in range(source.randrange(4)):
        place = source.randrange(width), source.randrange(height)
        upright.putpixel(place, tuple(source.randbytes(bands)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(UPRIGHT[STORED[orientation]]) if orientation > 1 else upright
    found = cut(saved(tmp_path, stored, "png", exif=exif), tolerance).convert(mode)
    wanted = exact.trimmed(upright, tolerance)
    assert found.size == wanted.size
    if mode == "RGB":
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_corner_is_the_upright_pictures(tmp_path: Path, orientation: int) -> None:
    """Each corner has a border of its own colour: only the upper left one's is cut."""
    upright = bordered(quarters((60, 40)), (100, 70), (20, 10))
    upright.paste((7, 7, 7), (0, 50, 100, 70))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(UPRIGHT[STORED[orientation]]) if orientation > 1 else upright
    found = cut(saved(tmp_path, stored, "png", exif=exif))
    assert found.tobytes() == upright.crop((0, 10, 100, 70)).tobytes()
    found = variant(tmp_path / "picture.png", 50, 0, trim=10)
    assert found.size == (50, 30)


@pytest.mark.parametrize(("levels", "tolerance", "is_cut"), [
    (0, 0, True), (1, 0, False), (10, 10, True), (11, 10, False), (255, 255, True),
])  # fmt: skip
def test_the_tolerance_is_of_each_channel(
    tmp_path: Path, levels: int, tolerance: int, is_cut: bool
) -> None:
    image = Image.new("RGB", (30, 20), (255, 255, 0))
    image.paste((255, 255 - levels, levels // 2), (0, 5, 30, 20))
    image.paste((0, 0, 255), (10, 8, 20, 12))
    size = cut(saved(tmp_path, image, "png"), tolerance).size
    if tolerance == 255:
        assert size == (30, 20), "a picture of nothing but border"
    else:
        assert size == ((10, 4) if is_cut else (30, 15))


@pytest.mark.parametrize("quality", [60, 75, 92])
def test_a_noisy_white_in_a_jpeg(tmp_path: Path, quality: int) -> None:
    source = random.Random(quality)
    image = bordered(product(), (500, 401), (203, 111))
    pixels = image.load()
    assert pixels is not None
    for x in range(500):
        for y in range(401):
            if pixels[x, y] == (255, 255, 255):
                level = 255 - source.randrange(5)
                pixels[x, y] = level, level, level
    path = saved(tmp_path, image, "jpeg", quality=quality)
    found = cut(path)
    with Image.open(path) as decoded:
        assert found.size == exact.trimmed(decoded.convert("RGB"), 10).size
    assert 160 <= found.width <= 160 + 2 * MOST_RINGING_PX
    assert 120 <= found.height <= 120 + 2 * MOST_RINGING_PX
    assert close(corners(found), [*UPRIGHT_COLOURS[:3], (90, 90, 90)], 20)


def test_a_small_variant_of_a_large_jpeg_is_cut_at_the_same_place(tmp_path: Path) -> None:
    path = saved(tmp_path, bordered(photo((900, 700)), (1600, 1300), (311, 222)), "jpeg")
    recipe = Recipe(100, 100, trim=20, format="png")
    found = loaded(resize(path, recipe, LIMITS))
    assert found.size == reference(path, recipe).size
    assert psnr_db(found.convert("RGBA"), reference(path, recipe)) > 40


def test_one_too_large_to_be_decoded_whole_is_cut_within_its_scale(tmp_path: Path) -> None:
    path = saved(tmp_path, bordered(product(), (501, 403), (200, 100)), "jpeg", quality=95)
    limits = Resize(max_pixels=60_000)
    found = loaded(resize(path, Recipe(0, 0, trim=30, format="png"), limits))
    assert abs(found.width - 160) <= 8
    assert abs(found.height - 120) <= 8
    assert loaded(resize(path, Recipe(80, 0, trim=30), limits)).width == 80
    with pytest.raises(TooManyPixels):
        resize(path, Recipe(0, 0, trim=30), Resize(max_pixels=3000))


def test_transparency_has_no_colour(tmp_path: Path) -> None:
    image = Image.new("RGBA", (90, 70), (255, 0, 0, 0))
    image.paste((0, 255, 0, 0), (0, 30, 90, 70))
    image.paste(quarters((40, 20)), (33, 11))
    for format in ("png", "webp", "tiff"):
        found = cut(
            saved(tmp_path, image, format, **({"lossless": True} if format == "webp" else {}))
        )
        assert found.size == (40, 20), format
        assert close(corners(found.convert("RGB")), UPRIGHT_COLOURS)
    grey = image.convert("LA")
    assert cut(saved(tmp_path, grey, "png")).size == (40, 20)
    found = cut(
        saved(tmp_path, image.quantize(), "gif", transparency=image.quantize().getpixel((0, 0)))
    )
    assert found.size == (40, 20)


def test_white_around_transparency_is_the_border(tmp_path: Path) -> None:
    image = Image.new("RGBA", (60, 60), "white")
    image.paste((255, 255, 255, 0), (20, 25, 50, 45))
    assert cut(saved(tmp_path, image, "png")).size == (30, 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (40, 30)])
def test_a_picture_that_is_all_border_is_left_as_it_is(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    for mode, colour in (("RGB", "white"), ("L", 90), ("RGBA", (9, 9, 9, 0)), ("1", 1)):
        found = cut(saved(tmp_path, Image.new(mode, size, colour), "png"))
        assert found.size == size
    found = variant(tmp_path / "picture.png", 20, 20, trim=10, mode="pad", format="jpeg")
    assert found.size == (20, 20)


def test_nothing_of_the_border_bleeds_into_what_is_left(tmp_path: Path) -> None:
    path = saved(
        tmp_path, bordered(Image.new("RGB", (80, 80), "black"), (200, 200), (51, 67)), "png"
    )
    for width in (80, 33, 10, 160):
        for mode in ("fit", "stretch", "crop", "pad"):
            found = variant(path, width, width, trim=10, mode=mode, enlarge=mode in ("fit", "pad"))
            assert found.convert("L").getextrema() == (0, 0), (width, mode)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (Recipe(50, 50, trim=10), (50, 38)), (Recipe(50, 50, "crop", trim=10), (50, 50)),
        (Recipe(50, 50, "pad", trim=10), (50, 50)), (Recipe(50, 0, "stretch", trim=10), (50, 120)),
        (Recipe(0, 50, "stretch", trim=10), (160, 50)), (Recipe(400, 400, trim=10), (160, 120)),
        (Recipe(400, 400, enlarge=True, trim=10), (400, 300)), (Recipe(0, 60, trim=10), (80, 60)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_sizes_follow_from_what_is_left(
    tmp_path: Path, recipe: Recipe, size: tuple[int, int]
) -> None:
    path = saved(tmp_path, bordered(product(), (400, 300), (13, 170)), "png")
    found = loaded(resize(path, recipe, LIMITS))
    assert found.size == size
    if recipe.mode != "crop":
        assert close(corners(found), [RED, GREEN, BLUE, (90, 90, 90)], 30) or recipe.mode == "pad"
    lossless = dataclasses.replace(recipe, format="png")
    found = loaded(resize(path, lossless, LIMITS))
    assert psnr_db(found.convert("RGBA"), reference(path, lossless)) > 45


def test_what_is_left_is_cropped_by_its_own_focus(tmp_path: Path) -> None:
    path = saved(tmp_path, bordered(product(), (400, 300), (13, 170)), "png")
    found = variant(path, 30, 60, trim=10, mode="crop", focus=Focus(1000, 0))
    assert close([pixel(found, 15, y) for y in (10, 50)], [GREEN, (90, 90, 90)])


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_of_and_to_every_format(tmp_path: Path, format: str) -> None:
    codecs.load()
    image = bordered(product(), (256, 200), (48, 40))
    path = saved(tmp_path, image, format, **({"lossless": True} if format == "webp" else {}))
    exactly = format not in ("jpeg", "avif")
    found = cut(path, 30)
    assert found.size == (160, 120) if exactly else 160 <= found.width <= 176
    path = saved(tmp_path, image, "png")
    written = variant(path, 0, 0, trim=10, format=format).convert("RGB")
    assert written.size == (160, 120)
    assert close(corners(written), [RED, GREEN, BLUE, (90, 90, 90)], 14)


def test_cmyk_deep_paletted_and_moving_pictures(tmp_path: Path) -> None:
    image = bordered(product(), (256, 200), (48, 40))
    assert cut(saved(tmp_path, image.convert("CMYK"), "tiff")).size == (160, 120)
    assert cut(saved(tmp_path, image.quantize(8), "png")).size == (160, 120)
    deep = bordered(Image.new("I;16", (30, 20), 9000), (90, 90), (11, 22), 65535)
    assert cut(saved(tmp_path, deep, "png")).size == (30, 20)
    nearly = bordered(Image.new("I;16", (30, 20), 65535 - 257 * 10), (90, 90), (11, 22), 65535)
    assert cut(saved(tmp_path, nearly, "png")).size == (90, 90), "ten levels of 255 are border"
    frames = [Image.new("RGB", (256, 200), colour) for colour in ("black", "red")]
    for format in ("gif", "webp"):
        options = {"lossless": True} if format == "webp" else {}
        path = saved(tmp_path, image, format, save_all=True, append_images=frames, **options)
        assert cut(path).size == (160, 120)


def test_a_profile_is_applied_after_the_cut(tmp_path: Path) -> None:
    image = bordered(product(), (256, 200), (48, 40), (250, 10, 10))
    found = cut(saved(tmp_path, image, "png", icc_profile=swapped_profile()))
    assert found.size == (160, 120)
    assert close(corners(found)[0], RED[::-1])


def test_a_ladder_knows_no_borders(tmp_path: Path) -> None:
    path = saved(tmp_path, bordered(photo((900, 700)), (1600, 1300), (311, 222)), "jpeg")
    with path.open("rb") as file:
        assert variants_from_ladder(file, [Recipe(100, 100, trim=10)], LIMITS) is None


def test_a_format_that_cannot_hold_what_is_left(tmp_path: Path) -> None:
    path = saved(tmp_path, bordered(Image.new("L", (17_000, 2)), (17_010, 9), (5, 4), 255), "png")
    with pytest.raises(BadParameter, match="17000 x 2"):
        cut(path, format="webp")
    assert cut(path, format="png").size == (17_000, 2)


def test_photographs_on_white(tmp_path: Path) -> None:
    """Real pictures in a border are left as they were, up to where they are white themselves."""
    paths = photographs()[:4] if _are_installed() else []
    if not paths:
        pytest.skip(f"needs {', '.join(PACKAGES)}")
    for source in paths:
        with Image.open(source) as opened:
            opened.draft("RGB", (640, 640))
            inside = opened.convert("RGB")
            inside.thumbnail((640, 640))
        path = saved(tmp_path, bordered(inside, (900, 900), (77, 199)), "png")
        recipe = Recipe(0, 0, trim=4, format="png")
        found = loaded(resize(path, recipe, LIMITS))
        wanted = exact_edges(path, 4)
        assert (found.size, found.tobytes()) == (wanted.size, wanted.tobytes())
        recipe = Recipe(200, 200, "crop", trim=4, format="png")
        assert (
            psnr_db(loaded(resize(path, recipe, LIMITS)).convert("RGBA"), reference(path, recipe))
            > 42
        )


def exact_edges(path: Path, tolerance: int) -> Image.Image:
    """Return what is left of a white-bordered RGB picture, found row by row and column by column."""
    with Image.open(path) as image:
        image.load()
    least = 255 - tolerance
    rows = [
        min(image.crop((0, y, image.width, y + 1)).tobytes()) < least for y in range(image.height)
    ]
    columns = [
        min(image.crop((x, 0, x + 1, image.height)).tobytes()) < least for x in range(image.width)
    ]
    left, upper = columns.index(True), rows.index(True)
    right, lower = len(columns) - columns[::-1].index(True), len(rows) - rows[::-1].index(True)
    return image.crop((left, upper, right, lower))


def _are_installed() -> bool:
    return all(Path(f"/usr/share/doc/{package}").is_dir() for package in PACKAGES)
