"""Telling formats apart and seeing cut files, on pictures made here and on any bytes at all."""

from __future__ import annotations

import io
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud.picture import formats
from image_cloud.picture.completeness import gif_images
from image_cloud.picture.formats import describe, is_complete, sniff
from tests import heif_files

PIL_NAMES = {
    "jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF",
    "jpeg2000": "JPEG2000", "ico": "ICO", **heif_files.PIL_NAMES,
}  # fmt: skip


def picture(name: str, **options: object) -> bytes:
    image = Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(64 * 48 * 3))
    target = io.BytesIO()
    image.save(target, PIL_NAMES[name], **options)
    return target.getvalue()


def complete(data: bytes, name: str) -> bool:
    return is_complete(io.BytesIO(data), len(data), formats.FORMATS[name])


@pytest.mark.parametrize("name", PIL_NAMES)
def test_each_format_is_known_by_its_head(name: str) -> None:
    found = sniff(picture(name)[: formats.HEAD_BYTES])
    assert found == formats.FORMATS[name]
    assert found.mime.startswith("image/")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"II+\0\x08\0\0\0", "tiff"),
        (b"MM\0+\0\x08\0\0", "tiff"),
        (b"\xff\x4f\xff\x51\0\x2f", "jpeg2000"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "avif"),
        (b"GIF87a\1\0\1\0", "gif"),
    ],
)
def test_rarer_heads(head: bytes, name: str) -> None:
    assert sniff(head) == formats.FORMATS[name]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\n  <html lang=de>", "an HTML page"),
        (b"\xef\xbb\xbf<!doctype HTML>", "an HTML page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<svg>", "an SVG drawing"),
        (b"<?xml version='1.0'?><rss>", "an XML document"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b'{"error": "not found"}', "JSON"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL picture"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"Not found", "text"),
        (b"\x01\x02\x03", "data of an unknown kind"),
        (b"BM is how this text begins.", "text"),
    ],
)
def test_what_is_no_picture_has_a_name(head: bytes, words: str) -> None:
    assert sniff(head) is None
    assert describe(head) == words


@pytest.mark.parametrize("name", PIL_NAMES)
def test_a_whole_file_is_complete_and_half_of_it_is_not(name: str) -> None:
    data = picture(name)
    assert complete(data, name)
    half = data[: len(data) // 2]
    # PIL writes a TIFF's directory first, so that its end is known to the decoder alone.
    assert complete(half, name) == (name == "tiff")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_anywhere_is_incomplete(options: dict[str, bool]) -> None:
    data = picture("jpeg", **options)
    assert not [cut for cut in range(3, len(data) - 1) if complete(data[:cut], "jpeg")]


def test_an_exif_thumbnails_end_is_not_the_pictures() -> None:
    thumbnail = picture("jpeg")
    exif = b"Exif\0\0" + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = b"\xff\xd8" + segment + picture("jpeg")[2:]
    assert complete(data, "jpeg")
    assert not complete(data[: 2 + len(segment)], "jpeg")
    assert not complete(data[:-2], "jpeg")


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "bmp"])
def test_garbage_behind_the_end_does_not_matter(name: str) -> None:
    assert complete(picture(name) + b"\r\n<!-- cached -->" * 100_000, name)


def test_a_gif_without_trailer_is_complete_between_blocks_only() -> None:
    data = picture("gif")
    assert data.endswith(b"\0;")
    assert complete(data[:-1], "gif")
    assert not complete(data[:-2], "gif")


def test_frames_of_a_gif_are_counted_without_decoding() -> None:
    frames = [Image.new("L", (8, 8), value) for value in range(0, 250, 10)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    assert gif_images(target) == len(frames)
    assert gif_images(target, most=3) == 3


@settings(max_examples=300)
@given(head=st.binary(max_size=80))
def test_any_bytes_have_a_description(head: bytes) -> None:
    sniff(head)
    assert describe(head)


@pytest.mark.parametrize("name", formats.FORMATS)
@settings(max_examples=80)
@given(data=st.data())
def test_any_bytes_are_complete_or_not(name: str, data: st.DataObject) -> None:
    complete(data.draw(st.binary(max_size=200)), name)


@pytest.mark.parametrize("name", PIL_NAMES)
@settings(max_examples=80)
@given(data=st.data())
def test_damaged_files_are_complete_or_not(name: str, data: st.DataObject) -> None:
    whole = bytearray(picture(name))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    complete(bytes(whole[: data.draw(st.integers(0, len(whole)))]), name)


@pytest.mark.parametrize(
    ("name", "head", "rest"),
    [
        ("png", b"\x89PNG\r\n\x1a\n", b"\0\0\0\0teXt\0\0\0\0"),
        ("gif", b"GIF89a\1\0\1\0\0\0\0", b"!\xf9\0"),
        ("gif", b"GIF89a\1\0\1\0\0\0\0!\xf9", b"\1\1"),
        ("jpeg", b"\xff\xd8", b"\xff\xe0\0\2"),
        ("jpeg", b"\xff\xd8\xff\xda\0\2", b"\0\xff"),
        ("avif", b"\0\0\0\x10ftypavif\0\0\0\0", b"\0\0\0\x08free"),
    ],
)
def test_endless_small_parts_end_soon(name: str, head: bytes, rest: bytes) -> None:
    data = head + rest * (20_000_000 // len(rest))
    complete(data, name)
