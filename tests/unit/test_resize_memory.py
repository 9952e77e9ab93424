"""Too little memory: an error that says so, whichever library did not get it, and never a dead worker."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from image_cloud import errors
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from image_cloud.resize.jpeg_scans import outline
from tests.heif_files import PIL_NAMES
from tests.unit.pictures import LIMITS, loaded, quarters

ROOT = Path(__file__).parents[2]
SIZE = (1200, 900)
SOURCES: dict[str, dict[str, object]] = {
    "baseline.jpeg": {}, "progressive.jpeg": {"progressive": True, "subsampling": 0}, "rgb.png": {},
    "lossy.webp": {"method": 0}, "lossless.webp": {"lossless": True, "method": 0},
    "lzw.tiff": {"compression": "tiff_lzw"},
    "plain.gif": {}, "plain.bmp": {}, "plain.jpeg2000": {}, "plain.avif": {"speed": 10},
    "plain.heic": {"quality": 30}, "tiles.heic": {"quality": 30, "tile_size": 512},
}  # fmt: skip

FINE_OR_NO_MEMORY = {"fine", "too_much_memory"}


def source(folder: Path, name: str) -> Path:
    format = name.rpartition(".")[2]
    image = Image.effect_mandelbrot((300, 225), (-2, -1.2, 1, 1.2), 90).convert("RGB").resize(SIZE)
    path = folder / name
    image.save(path, PIL_NAMES.get(format, format), **SOURCES[name])
    return path


def outcomes(format: str, width: int, *paths: Path) -> dict[str, set[str]]:
    """Return all that came of resizing each file with more and more memory."""
    command = [sys.executable, "-m", "tests.unit.starved", format, str(width), *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name: set(tries.values()) for name, tries in json.loads(done.stdout).items()}


def test_decoding(tmp_path: Path) -> None:
    found = outcomes("jpeg", 100, *(source(tmp_path, name) for name in SOURCES))
    assert found.pop("baseline.jpeg") <= FINE_OR_NO_MEMORY  # it takes a few kilobytes
    assert found == dict.fromkeys(found, FINE_OR_NO_MEMORY)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_encoding(tmp_path: Path, format: str) -> None:
    found = outcomes(format, SIZE[0] - 50, source(tmp_path, "plain.bmp"))
    assert found == {"plain.bmp": FINE_OR_NO_MEMORY}


# --- large JPEGs ---------------------------------------------------------------------------------

SMALL = dataclasses.replace(LIMITS, max_pixels=100_000, max_jpeg_pixels=2_000_000)


def large(folder: Path, size: tuple[int, int] = (1600, 1200), **options: object) -> Path:
    path = folder / "large.jpg"
    quarters(size).save(path, "JPEG", **options)
    return path


@pytest.mark.parametrize("progressive", [False, True])
def test_only_what_is_drawn_counts(tmp_path: Path, progressive: bool) -> None:
    path = large(tmp_path, progressive=progressive)
    assert loaded(resize(path, Recipe(200, 200), SMALL)).size == (200, 150)
    with pytest.raises(errors.TooManyPixels, match="1600 x 1200 pixels, of which 400 x 300"):
        resize(path, Recipe(360, 360), SMALL)
    with pytest.raises(errors.TooManyPixels, match="100000"):
        resize(path, Recipe(1600, 1600), SMALL)


def test_a_jpeg_that_is_too_large_however_it_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(errors.TooManyPixels, match="2000000"):
        resize(large(tmp_path, (1700, 1200)), Recipe(100, 100), SMALL)


@pytest.mark.parametrize(
    ("options", "bytes_a_pixel"),
    [
        ({}, 0),
        ({"progressive": True, "subsampling": "4:2:0"}, 3),
        ({"progressive": True, "subsampling": "4:2:2"}, 4),
        ({"progressive": True, "subsampling": "4:4:4"}, 6),
    ],
)
def test_what_libjpeg_keeps_of_a_progressive_jpeg(
    tmp_path: Path, options: dict[str, object], bytes_a_pixel: int
) -> None:
    data = large(tmp_path, **options).read_bytes()
    assert outline(data, 100).coefficient_bytes == 1600 * 1200 * bytes_a_pixel


def test_a_baseline_jpeg_in_several_scans_is_kept_as_well(tmp_path: Path) -> None:
    data = large(tmp_path, progressive=True).read_bytes()
    assert (
        outline(data.replace(b"\xff\xc2", b"\xff\xca", 1), 100).coefficient_bytes == 1600 * 1200 * 3
    )
