"""Telling formats apart by their first bytes, and saying what is none."""

from __future__ import annotations

import functools
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud.picture import formats
from image_cloud.picture.formats import describe, sniff
from tests import heif_files

PIL_NAMES = {
    "jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF",
    "jpeg2000": "JPEG2000", "ico": "ICO", **heif_files.PIL_NAMES,
}  # fmt: skip


@functools.cache
def picture(name: str, **options: object) -> bytes:
    image = Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(64 * 48 * 3))
    target = io.BytesIO()
    image.save(target, PIL_NAMES[name], **options)
    return target.getvalue()


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
        (
            b"<?xml version='1.0' standalone='no'?>\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'>",
            "an SVG drawing",
        ),
        (
            b"<?xml version='1.0'?>\n<!-- Generator: Illustrator -->\n<!-- and -->\n<svg>",
            "an SVG drawing",
        ),
        (b"<svg:svg xmlns:svg='http://www.w3.org/2000/svg'>", "an SVG drawing"),
        (b"<!-- <svg> --><html>", "an HTML page"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL picture"),
        (b"II\xbc\1\x20\0\0\0", "a JPEG XR picture"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"P6\n2 2\n255\n", "a Netpbm picture"),
        (b"qoif\0\0\0\2", "a QOI picture"),
        (b"\0\0\2\0\1\0", "a cursor"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "sound"),
        (b"wOF2\0\1\0\0", "a font"),
        (b"\xff\xfeN\0o\0", "text"),
        (b"\r\n\xff\xd8\xff\xe0", "a jpeg picture that begins with other bytes"),
        (b"\xef\xbb\xbf\x89PNG\r\n\x1a\n", "a png picture that begins with other bytes"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"Not found", "text"),
        (b"\x01\x02\x03", "data of an unknown kind"),
        (b"BM is how this text begins.", "text"),
    ],
)
def test_what_is_no_picture_has_a_name(head: bytes, words: str) -> None:
    assert sniff(head) is None
    assert describe(head) == words


def test_a_hostile_head_is_described_soon() -> None:
    for head in (b"<!---->" * 80, b"<?xml ?>" + b"<!doctype a>" * 50, b"<!--" * 200, b" " * 600):
        assert describe(head)


@settings(max_examples=300)
@given(head=st.binary(max_size=80))
def test_any_bytes_have_a_description(head: bytes) -> None:
    sniff(head)
    assert describe(head)
