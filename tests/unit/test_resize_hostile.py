"""Hostile and damaged pictures: an error of ours with a public text, soon and in little memory."""

from __future__ import annotations

import dataclasses
import functools
import io
import random
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud import errors
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from tests.heif_files import PIL_NAMES
from tests.unit.pictures import LIMITS, quarters, saved

FORMATS = ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic"]
RECIPE = Recipe(40, 40)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "secret-place.bin"
    path.write_bytes(data)
    return path


def refusal(path: Path) -> errors.ImageCloudError | None:
    try:
        resize(path, RECIPE, LIMITS)
    except errors.ImageCloudError as error:
        return error
    return None


@functools.cache  # encoding costs more than what is tested, most of all with the threads of x265
def noise(format: str, **options: object) -> bytes:
    image = Image.frombytes("RGB", (96, 64), random.Random(1).randbytes(96 * 64 * 3))
    target = io.BytesIO()
    image.save(target, PIL_NAMES.get(format, format), **options)
    return target.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, body: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [b"", b"<html><script>alert(1)</script>", b"<svg/>", b"%PDF-1.4", b"GIF", b"\0" * 100, b"BM"],
)
def test_what_is_no_picture(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(errors.NotAnImage):
        resize(written(tmp_path, data), RECIPE, LIMITS)


def test_formats_that_are_not_allowed(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, formats=("jpeg", "png"))
    with pytest.raises(errors.UnsupportedFormat, match="jpeg, png"):
        resize(saved(tmp_path, quarters(), "gif"), RECIPE, limits)


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_file(tmp_path: Path, format: str) -> None:
    data = noise(format)
    with pytest.raises((errors.TruncatedImage, errors.CorruptImage)) as caught:
        resize(written(tmp_path, data[: len(data) * 2 // 3]), RECIPE, LIMITS)
    assert "secret" not in caught.value.detail
    if format != "tiff":
        assert caught.type is errors.TruncatedImage


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end(tmp_path: Path, progressive: bool) -> None:
    path = saved(tmp_path, quarters((1600, 1200)), "jpeg", progressive=progressive)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    with pytest.raises(errors.TruncatedImage):
        resize(path, RECIPE, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        png_of(50_000, 50_000, chunk(b"IDAT", zlib.compress(b"\0" * 10_000_000))),
        b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f"
        + struct.pack("<I", 16382 | 16382 << 14)
        + b"\0" * 8,
        b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\0" * 2 + b"\0" * 8,
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\1\0\0;",
        b"BM" + struct.pack("<IHHIIiiHH", 54, 0, 0, 54, 40, 30_000, 30_000, 1, 24) + b"\0" * 24,
    ],
    ids=["png", "webp-lossless", "webp-extended", "gif", "bmp"],
)
def test_claims_of_too_many_pixels_cost_nothing(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, data)
    tracemalloc.start()
    with pytest.raises(errors.TooManyPixels):
        resize(path, RECIPE, LIMITS)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_a_jpeg_with_too_many_scans(tmp_path: Path) -> None:
    data = noise("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    bomb = data[:last] + data[last:-2] * 500 + data[-2:]
    started = time.process_time()
    with pytest.raises(errors.TooManyScans, match="100"):
        resize(written(tmp_path, bomb), RECIPE, LIMITS)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_too_many_frames(tmp_path: Path, format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (value, 0, 255)) for value in range(0, 240, 12)]
    path = saved(tmp_path, quarters((8, 8)), format, save_all=True, append_images=frames)
    with pytest.raises(errors.TooManyFrames, match="20"):
        resize(path, RECIPE, dataclasses.replace(LIMITS, max_frames=20))
    assert resize(path, RECIPE, dataclasses.replace(LIMITS, max_frames=21))


def test_memory_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_self: Image.Image) -> None:
        raise MemoryError

    path = saved(tmp_path, quarters(), "tiff")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(errors.TooMuchMemory):
        resize(path, RECIPE, LIMITS)


def test_an_original_that_is_gone_is_not_the_pictures_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        resize(tmp_path / "gone.jpg", RECIPE, LIMITS)


def test_polyglots_are_what_their_first_bytes_say(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters(), "jpeg", comment=b"<html><script>alert(1)</script>")
    path.write_bytes(path.read_bytes() + b"%PDF-1.4 <svg onload=alert(1)>")
    data = resize(path, RECIPE, LIMITS)
    assert b"alert" not in data


@pytest.mark.parametrize("format", [*FORMATS, "progressive"])
@settings(
    max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_never_raises_anything_else(
    tmp_path: Path, format: str, data: st.DataObject
) -> None:
    progressive = format == "progressive"
    whole = bytearray(noise("jpeg", progressive=True) if progressive else noise(format))
    for _ in range(data.draw(st.integers(1, 8))):
        # Half of the damage in the headers, where it does most.
        most = data.draw(st.sampled_from([min(len(whole), 600), len(whole)]))
        whole[data.draw(st.integers(0, most - 1))] = data.draw(st.integers(0, 255))
    error = refusal(written(tmp_path, bytes(whole)))
    assert error is None or isinstance(error, errors.UnusableImage | errors.ImageTooLarge)
    assert "secret" not in str(error)


def test_an_offset_that_no_file_can_have_is_the_picture_s_fault(tmp_path: Path) -> None:
    whole = bytearray(noise("tiff"))
    whole[2] = 43  # BigTIFF: the offset of the first directory has 64 bits
    assert isinstance(refusal(written(tmp_path, bytes(whole))), errors.UnusableImage)
