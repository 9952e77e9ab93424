"""What a file carries besides its pixels changes none of them: whatever it is, and wherever it stands."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.unit.pictures import variant

PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Draw = st.DataObject


@functools.cache
def photo() -> Image.Image:
    noise = Image.frombytes("RGB", (16, 12), random.Random(3).randbytes(16 * 12 * 3))
    return noise.resize((96, 72), Image.Resampling.BICUBIC).filter(ImageFilter.SMOOTH)


@functools.cache
def whole(format: str, **options: bool) -> bytes:
    file = io.BytesIO()
    photo().save(file, format, **options)
    return file.getvalue()


def pixels(folder: Path, data: bytes) -> bytes:
    """Return the pixels that come out, or the error's name."""
    path = folder / "picture"
    path.write_bytes(data)
    return variant(path, 48).tobytes()


def damaged(draw: Draw, body: bytes) -> bytes:
    """Return the body as it is, with a byte that is another, or cut short."""
    how = draw.draw(st.sampled_from(["as it is", "other byte", "cut"]))
    if not body or how == "as it is":
        return body
    at = draw.draw(st.integers(0, len(body) - 1))
    return body[:at] if how == "cut" else body[:at] + b"\xee" + body[at + 1 :]


# --- JPEG ----------------------------------------------------------------------------------------

JPEG_BODIES = (
    b"", b"\0", b"JFIF\0", b"JFXX\0\x10", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"ICC_PROFILE\0\1\1abc",
    b"ICC_PROFILE\0\0\0", b"Adobe", b"MPF\0II*\0", b"Photoshop 3.0\x008BIM\4\4\0", b"\xff\xd9", b"x" * 65533,
    b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>6</tiff:Orientation>", b"Ducky", b"\xff" * 50,
)  # fmt: skip
STUFFING = frozenset({0, *range(0xD0, 0xD8)})
JPEG_SIDES = [*range(0xE0, 0xF0), 0xFE, 0xF0, 0xF7, 0xFD, 0xC8, 0x02, 0xBF]


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    told = len(body) + 2 if length is None else length
    return bytes([0xFF, marker]) + struct.pack(">H", told) + body


def jpeg_parts(data: bytes) -> list[bytes]:
    """Split a JPEG behind its start into segments, each scan with its data, and the end."""
    parts, at = [], 2
    while data[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xDA:
            while data[end] != 0xFF or data[end + 1] in STUFFING:
                end += 1
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]]


def jpeg_side(draw: Draw) -> bytes:
    body = damaged(draw, draw.draw(st.sampled_from(JPEG_BODIES) | st.binary(max_size=60)))
    length = draw.draw(st.sampled_from([None, None, None, 0, 1, 2, 9, 300, 0xFFFF]))
    return segment(draw.draw(st.sampled_from(JPEG_SIDES)), body, length)


@pytest.mark.parametrize("progressive", [False, True])
@PATIENT
@given(draw=st.data())
def test_side_segments_of_a_jpeg(tmp_path: Path, progressive: bool, draw: Draw) -> None:
    data = whole("JPEG", progressive=progressive)
    parts = [part for part in jpeg_parts(data) if part[1] != 0xE0]
    if draw.draw(st.booleans()):
        parts.insert(0, jpeg_parts(data)[0])
    for _ in range(draw.draw(st.integers(1, 4))):
        parts.insert(draw.draw(st.integers(0, len(parts) - 1)), jpeg_side(draw))
    assert pixels(tmp_path, b"\xff\xd8" + b"".join(parts)) == pixels(tmp_path, data)


# --- PNG -----------------------------------------------------------------------------------------

PNG_BODIES = (
    b"", b"\0", b"\0\0\xb1\x8f", b"Comment\0text", b"name\0\0" + zlib.compress(b"icc"), b"\0" * 9,
    b"\xff" * 32,
    b"Raw profile type exif\0\nexif\n    20\n4d4d002a", b"XML:com.adobe.xmp\0\0\0\0\0tiff:Orientation=\"6\"",
    b"bomb\0\0" + zlib.compress(bytes(3_000_000)), b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
)  # fmt: skip
PNG_SIDES = (
    b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"sBIT", b"bKGD", b"hIST", b"sPLT", b"oFFs", b"vpAg",
    b"ABCD", b"iDOT",
)  # fmt: skip
PNG_COUNTING = (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tRNS", b"acTL", b"fcTL", b"eXIf")


def chunk(kind: bytes, body: bytes, length: int | None = None, *, sound: bool = True) -> bytes:
    told = len(body) if length is None else length
    crc = zlib.crc32(kind + body) ^ (not sound)
    return struct.pack(">I", told) + kind + body + struct.pack(">I", crc)


def png_side(draw: Draw) -> bytes:
    body = damaged(draw, draw.draw(st.sampled_from(PNG_BODIES) | st.binary(max_size=60)))
    if draw.draw(st.booleans()):
        return chunk(draw.draw(st.sampled_from(PNG_COUNTING)), body, sound=False)
    length = draw.draw(st.sampled_from([None, None, 0, 1, len(body) + 1, 70_000, 0x7FFFFFFF]))
    sound = draw.draw(st.booleans())
    return chunk(draw.draw(st.sampled_from(PNG_SIDES)), body, length, sound=sound)


def png_parts() -> list[bytes]:
    """Return the chunks of a PNG that has its pixels in many of them."""
    data = whole("PNG")
    start = data.index(b"IDAT") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    stream = data[start + 8 : end - 4]
    idats = [chunk(b"IDAT", stream[at : at + 999]) for at in range(0, len(stream), 999)]
    return [data[8:start], *idats, data[end:]]


@PATIENT
@given(draw=st.data())
def test_side_chunks_of_a_png(tmp_path: Path, draw: Draw) -> None:
    parts = png_parts()
    for _ in range(draw.draw(st.integers(1, 4))):
        parts.insert(draw.draw(st.integers(1, len(parts))), png_side(draw))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    assert pixels(tmp_path, data) == pixels(tmp_path, whole("PNG"))


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_wrong_checksums_of_a_png(tmp_path: Path, kind: bytes) -> None:
    file = io.BytesIO()
    photo().quantize(40).save(file, "PNG")
    data = file.getvalue()
    at = data.index(kind)
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    broken = data[:end] + b"\1\2\3\4" + data[end + 4 :]
    assert pixels(tmp_path, broken) == pixels(tmp_path, data)


# --- WebP ----------------------------------------------------------------------------------------


def riff_chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    told = len(body) if length is None else length
    return kind + struct.pack("<I", told) + body + b"\0" * (len(body) % 2)


def webp_side(draw: Draw) -> bytes:
    kind = draw.draw(st.sampled_from([b"EXIF", b"XMP ", b"ICCP", b"ABCD", b"ANIM", b"VP8X"]))
    body = damaged(
        draw, draw.draw(st.sampled_from([b"", b"MM\0*\0\0\0\x08"]) | st.binary(max_size=40))
    )
    return riff_chunk(kind, body, draw.draw(st.sampled_from([None, None, 0, 1, 77, 0xFFFFFFFF])))


@pytest.mark.parametrize("lossless", [False, True])
@PATIENT
@given(draw=st.data())
def test_side_chunks_of_a_webp(tmp_path: Path, lossless: bool, draw: Draw) -> None:
    data = whole("WEBP", lossless=lossless)
    parts = [data[12:]]
    for _ in range(draw.draw(st.integers(1, 4))):
        parts.insert(draw.draw(st.integers(0, len(parts))), webp_side(draw))
    body = b"WEBP" + b"".join(parts)
    other = b"RIFF" + struct.pack("<I", len(body)) + body
    assert pixels(tmp_path, other) == pixels(tmp_path, data)


# --- GIF -----------------------------------------------------------------------------------------

GIF_BODIES = (
    b"\0", b"\4\0\0\0\0\0", b"\3\1\0\0\0", b"\x0bNETSCAPE2.0\3\1\0\0\0", b"\x05hello\0",
    b"\xff" + b"x" * 255 + b"\0",
    b"\x08ICCRGBG1\0", b"\x0bXMP DataXMPtiff:Orientation=\"6\"\1\0\0",
)  # fmt: skip


def gif_side(draw: Draw) -> bytes:
    label = draw.draw(st.sampled_from([0xFE, 0xFF, 0x01, 0xCE, 0xF9]))
    return bytes([0x21, label]) + draw.draw(st.sampled_from(GIF_BODIES))


@PATIENT
@given(draw=st.data())
def test_extensions_of_a_gif(tmp_path: Path, draw: Draw) -> None:
    data = whole("GIF")
    start = data.index(b",", 13 + 768)
    before = [gif_side(draw) for _ in range(draw.draw(st.integers(0, 3)))]
    behind = [gif_side(draw) for _ in range(draw.draw(st.integers(0, 3)))]
    other = data[:start] + b"".join(before) + data[start:-1] + b"".join(behind) + b";"
    assert pixels(tmp_path, other) == pixels(tmp_path, data)


# --- what stands behind a picture ----------------------------------------------------------------

TRAILERS: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"\r\n<!-- cached -->", "zeros": lambda: bytes(5000), "another": lambda: whole("JPEG"),
}  # fmt: skip


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_what_stands_behind_a_picture(tmp_path: Path, format: str, trailer: str) -> None:
    data = whole(format)
    assert pixels(tmp_path, data + TRAILERS[trailer]()) == pixels(tmp_path, data)
