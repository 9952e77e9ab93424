"""Leaving scans out: the same picture, less to decode, and hands off whatever is odd."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageFilter, JpegImagePlugin

from image_cloud.picture.variant import Recipe
from image_cloud.resize import jpeg_scans
from image_cloud.resize.readers.jpeg import rewritten
from tests.corpus.reference import psnr_db, reference
from tests.unit.pictures import variant


def photo(size: tuple[int, int] = (801, 603)) -> Image.Image:
    """Return a picture with detail of all sizes, like a photograph."""
    source = random.Random(7)
    picture = Image.new("RGB", size)
    for cell in (5, 23, 90):
        small = (size[0] // cell + 1, size[1] // cell + 1)
        layer = Image.frombytes("RGB", small, source.randbytes(small[0] * small[1] * 3))
        layer = layer.resize(size, Image.Resampling.BICUBIC)
        picture = Image.blend(picture, layer, 0.6)
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def jpeg(
    mode: str = "RGB", subsampling: int = 2, quality: int = 88, progressive: bool = False
) -> bytes:
    target = io.BytesIO()
    image = photo().convert(mode)
    image.save(target, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    return target.getvalue()


def decoded(data: bytes, scale: int) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    return image


def prune(data: bytes, scale: int) -> bytes:
    found = jpeg_scans.outline(data, 100)
    return rewritten(data, found, jpeg_scans.pruned(found, scale))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_eighth_is_the_same_to_the_last_bit(mode: str, subsampling: int) -> None:
    data = jpeg(mode, subsampling, progressive=True)
    smaller = prune(data, 8)
    assert len(smaller) < len(data) / 2
    assert decoded(smaller, 8).tobytes() == decoded(data, 8).tobytes()


@pytest.mark.parametrize("quality", [40, 60, 75, 92])
@pytest.mark.parametrize("width", [95, 150, 200, 300])
def test_a_variant_is_as_good_as_without_pruning(tmp_path: Path, width: int, quality: int) -> None:
    """A baseline JPEG of the same coefficients has nothing that could be left out."""
    pruned, whole = tmp_path / "progressive.jpg", tmp_path / "baseline.jpg"
    photo().save(pruned, quality=quality, progressive=True)
    photo().save(whole, quality=quality)
    assert decoded(pruned.read_bytes(), 1).tobytes() == decoded(whole.read_bytes(), 1).tobytes()
    wanted = reference(whole, Recipe(width, 0))
    pruned_db, whole_db = (
        psnr_db(variant(path, width, format="jpeg").convert("RGBA"), wanted)
        for path in (pruned, whole)
    )
    assert pruned_db > whole_db - 0.2


def test_the_last_bit_goes_only_where_steps_are_fine() -> None:
    fine, coarse = jpeg(progressive=True, quality=92), jpeg(progressive=True, quality=50)
    usual = jpeg(progressive=True, quality=85)
    assert len(prune(fine, 4)) < len(fine) * 0.5
    assert (
        len(prune(usual, 4)) < len(usual) * 0.5
    )  # two bits; without the last alone it would be 0.6
    assert len(prune(coarse, 4)) > len(coarse) * 0.8
    assert prune(coarse, 2) == coarse


@pytest.mark.parametrize(("quality", "left_out"), [(92, True), (85, True), (75, False)])
def test_the_last_bit_of_dc_goes_only_where_its_step_is_fine(quality: int, left_out: bool) -> None:
    data = jpeg(progressive=True, quality=quality)
    assert any(map(is_last_bit_of_dc, scans(prune(data, 4)))) is not left_out
    assert any(map(is_last_bit_of_dc, scans(prune(data, 8))))


def scans(data: bytes) -> list[jpeg_scans.Scan]:
    return jpeg_scans.outline(data, 100).scans


def is_last_bit_of_dc(scan: jpeg_scans.Scan) -> bool:
    return scan.adds_a_bit and not scan.lowest_bit and not scan.last_coefficient


def test_no_scan_stays_that_builds_on_one_left_out() -> None:
    """At 1/4 the high coefficients do not count, but a refinement that is kept reads past them."""
    data = jpeg(progressive=True, quality=50)
    assert decoded(prune(data, 4), 4).tobytes() == decoded(data, 4).tobytes()


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_a_baseline_jpeg_stays_as_it_is(scale: int) -> None:
    data = jpeg()
    assert prune(data, scale) == data


def test_scans_are_counted() -> None:
    assert len(jpeg_scans.outline(jpeg(), 100).scans) == 1
    data = jpeg(progressive=True)
    found = jpeg_scans.outline(data, 100)
    assert len(found.scans) == 10
    assert found.has_end
    assert len(jpeg_scans.outline(data, 3).scans) == 4


def test_an_exif_thumbnails_scan_does_not_count() -> None:
    target = io.BytesIO()
    photo().save(target, "JPEG", progressive=True, exif=b"Exif\0\0" + jpeg()[:60_000])
    assert len(jpeg_scans.outline(target.getvalue(), 100).scans) == 10


def test_odd_streams_go_unpruned() -> None:
    data = jpeg(progressive=True)
    assert prune(data[:-2], 8) == data
    frame = data.index(b"\xff\xc2")
    unknown = data[: frame + 10] + b"\x09" + data[frame + 11 :]
    assert prune(unknown, 8) == unknown


@pytest.mark.parametrize("cut", [2, 3, 5, 20, 300])
def test_any_beginning_has_an_outline(cut: int) -> None:
    data = jpeg(progressive=True)[:cut]
    found = jpeg_scans.outline(data, 100)
    assert not found.has_end
    assert not jpeg_scans.pruned(found, 8)
