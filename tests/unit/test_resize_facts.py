"""Facts of pictures against a reference of their own: hash, average colour, alpha, animation, orientation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from image_cloud.picture.facts import Facts
from image_cloud.resize import facts
from image_cloud.resize.heif import codecs
from tests.photos import photographs
from tests.unit.pictures import LIMITS, quarters, swapped_profile

codecs.load()
ORIENTATION = 274


def of(content: bytes) -> Facts:
    return facts(io.BytesIO(content), LIMITS)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pattern(width: int = 400, height: int = 300, seed: int = 0) -> Image.Image:
    """Return a picture whose pixels differ everywhere."""
    box = (-2.0 + seed / 100, -1.2, 1.0, 1.2)
    bands = [Image.effect_mandelbrot((width, height), box, n) for n in (20, 40, 80)]
    return Image.merge("RGB", bands)


def reference(image: Image.Image) -> str:
    """Return the difference hash as the usual tools have it (imagehash.dhash)."""
    small = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS)
    bits = "".join(
        "1" if small.getpixel((x + 1, y)) > small.getpixel((x, y)) else "0"  # type: ignore[operator]
        for y in range(8)
        for x in range(8)
    )
    return "".join(f"{int(bits[at : at + 4], 2):x}" for at in range(0, 64, 4))


def average(image: Image.Image) -> list[float]:
    pixels = image.convert("RGB").tobytes()
    return [3 * sum(pixels[band::3]) / len(pixels) for band in range(3)]


def test_a_known_hash() -> None:
    """Brighter to the right in the upper half, darker in the lower one."""
    row = bytes(range(0, 250, 25)) + b"\xff"
    image = Image.frombytes("L", (11, 2), row + row[::-1]).resize((352, 320), Image.Resampling.BOX)
    assert of(saved(image, "PNG")).dhash == "ffffffff00000000"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize("seed", range(3))
def test_formats(format: str, seed: int) -> None:
    content = saved(pattern(seed=seed), format)
    shown = Image.open(io.BytesIO(content)).convert("RGB")
    found = of(content)
    assert found.dhash == reference(shown)
    assert (found.width, found.height, found.orientation) == (400, 300, 1)
    assert not found.animated
    assert not found.has_alpha
    assert all(
        abs(got - wanted) <= 1
        for got, wanted in zip(bytes.fromhex(found.average_colour), average(shown), strict=True)
    )


@pytest.mark.parametrize("path", photographs()[::16], ids=lambda path: path.name)
def test_photographs_as_large_as_products(path: Path) -> None:
    image = Image.open(path).convert("RGB")
    image.thumbnail((1600, 1600))
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        content = saved(image, "JPEG", quality=90, **options)
        assert of(content).dhash == reference(Image.open(io.BytesIO(content)))


def test_a_large_picture_is_scaled_first() -> None:
    content = saved(pattern(4000, 3000), "JPEG", quality=90)
    difference = int(of(content).dhash, 16) ^ int(reference(Image.open(io.BytesIO(content))), 16)
    assert difference.bit_count() <= 2
    assert (of(content).width, of(content).height) == (4000, 3000)


@pytest.mark.parametrize("format", ["PNG", "BMP", "WEBP"])
def test_a_large_picture_of_another_format(format: str) -> None:
    content = saved(pattern(3000, 2400), format)
    difference = int(of(content).dhash, 16) ^ int(reference(Image.open(io.BytesIO(content))), 16)
    assert difference.bit_count() <= 2


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(pattern(), format, exif=exif)
    found, upright = of(content), ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert found.orientation == orientation
    assert (found.width, found.height) == upright.size
    assert found.dhash == reference(upright)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours(mode: str) -> None:
    content = saved(pattern().convert(mode), "JPEG")
    shown = Image.open(io.BytesIO(content)).convert("RGB")
    difference = int(of(content).dhash, 16) ^ int(reference(shown), 16)
    assert difference.bit_count() <= 1


def test_colours_are_those_that_the_profile_says() -> None:
    content = saved(Image.new("RGB", (40, 30), (230, 30, 40)), "PNG", icc_profile=swapped_profile())
    red, green, blue = bytes.fromhex(of(content).average_colour)
    assert blue > 200 > 60 > max(red, green)


def with_alpha(mode: str = "RGBA", hidden: int = 0) -> Image.Image:
    """Return a picture whose left half has the alpha `hidden`."""
    image = pattern().convert(mode.removesuffix("A"))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(hidden, (0, 0, 200, 300))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_transparent_parts_are_white(format: str) -> None:
    options = (
        {"lossless": True} if format == "WEBP" else {"quality": 100} if format == "AVIF" else {}
    )
    content = saved(with_alpha(), format, **options)
    shown = Image.new("RGBA", (400, 300), "white")
    shown.alpha_composite(Image.open(io.BytesIO(content)).convert("RGBA"))
    found = of(content)
    assert found.has_alpha
    assert found.dhash == reference(shown.convert("RGB"))


@pytest.mark.parametrize(
    ("content", "has_alpha"),
    [
        (saved(with_alpha("LA"), "PNG"), True),
        (saved(with_alpha(hidden=255), "PNG"), True),
        (saved(with_alpha(hidden=255).resize((2400, 1800)), "PNG"), True),
        (saved(pattern().quantize(), "PNG"), False),
        (saved(pattern().quantize(), "PNG", transparency=3), True),
        (saved(pattern(), "PNG", transparency=(1, 2, 3)), True),
        (saved(pattern(2400, 1800), "PNG", transparency=(1, 2, 3)), True),
        (saved(pattern(2400, 1800), "PNG"), False),
        (saved(pattern().convert("L"), "PNG"), False),
        (saved(with_alpha(), "GIF"), True),
        (saved(pattern().convert("CMYK"), "JPEG"), False),
        (saved(pattern(), "WEBP", lossless=True), False),
    ],
)  # fmt: skip
def test_alpha(content: bytes, has_alpha: bool) -> None:
    assert of(content).has_alpha is has_alpha


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animations(format: str) -> None:
    first, *others = (pattern(200, 150, seed) for seed in range(3))
    content = saved(first, format, save_all=True, append_images=others)
    found = of(content)
    assert found.animated
    difference = int(found.dhash, 16) ^ int(reference(first), 16)
    assert difference.bit_count() <= 3, "that of the first frame"
    assert not of(saved(first, format, save_all=True)).animated


def test_pages_and_pictures_beside_the_shown_one_are_no_animation() -> None:
    first, *others = (pattern(200, 150, seed) for seed in range(3))
    for format in ("TIFF", "MPO"):
        assert not of(saved(first, format, save_all=True, append_images=others)).animated


def test_a_plain_picture() -> None:
    found = of(saved(Image.new("RGB", (30, 20), (10, 20, 30)), "PNG"))
    assert (found.dhash, found.average_colour) == ("0" * 16, "0a141e")
    assert of(saved(quarters((2, 1)), "PNG")).width == 2
