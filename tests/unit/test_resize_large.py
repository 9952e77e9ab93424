"""Large JPEGs: what libjpeg draws smaller counts as drawn, and what it keeps of a progressive one as kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from image_cloud import errors
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from image_cloud.resize.jpeg_scans import outline
from tests.unit.pictures import LIMITS, loaded, quarters

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
