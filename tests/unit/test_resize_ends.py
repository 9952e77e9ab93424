"""The end of a picture's data: what is lost of it, and how much of it may be."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, JpegImagePlugin

from image_cloud import errors
from tests.unit.pictures import variant
from tests.unit.test_resize_side_parts import chunk, jpeg_parts

SIZE = (96, 400)
"""Higher than wide: two hundredths are eight rows."""
EXACT = {"mode": "stretch", "format": "png"}


def photo(size: tuple[int, int] = SIZE) -> Image.Image:
    small = (size[0] // 6, size[1] // 6)
    noise = Image.frombytes("RGB", small, random.Random(5).randbytes(small[0] * small[1] * 3))
    return noise.resize(size, Image.Resampling.BICUBIC)


def saved(format: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or photo()).save(file, format, **options)
    return file.getvalue()


def shown(folder: Path, data: bytes) -> Image.Image:
    """Return the whole picture at its own size."""
    path = folder / "picture"
    path.write_bytes(data)
    return variant(path, *SIZE, **EXACT)


def differing_rows(one: Image.Image, other: Image.Image) -> list[int]:
    rows = range(SIZE[1])
    pictures = [image.convert("RGBA") for image in (one, other)]
    return [
        y for y in rows if len({image.crop((0, y, 96, y + 1)).tobytes() for image in pictures}) > 1
    ]


# --- PNG -----------------------------------------------------------------------------------------


def png_of(rows: bytes, colour: int = 2, interlace: int = 0, cut: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", *SIZE, 8, colour, 0, 0, interlace)
    stream = zlib.compress(rows)
    stream = stream[: len(stream) - cut]
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    )


def png_rows(count: int = SIZE[1]) -> bytes:
    pixels = photo().tobytes()
    width = 3 * SIZE[0]
    return b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(count))


def interlaced_rows() -> bytes:
    """Return the rows of all seven passes."""
    image, rows = photo(), []
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        for y in range(top, SIZE[1], down):
            line = [image.getpixel((x, y)) for x in range(left, SIZE[0], across)]
            rows.append(b"\0" + bytes(value for pixel in line for value in pixel))  # type: ignore[union-attr]
    return b"".join(rows)


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 8])
def test_a_png_without_its_checksum(tmp_path: Path, lost: int) -> None:
    assert not differing_rows(shown(tmp_path, png_of(png_rows(), cut=min(lost, 4))), photo())


def test_a_png_with_a_wrong_checksum(tmp_path: Path) -> None:
    data = png_of(png_rows())
    stream = zlib.compress(png_rows())[:-4] + b"\1\2\3\4"
    at = data.index(b"IDAT") - 4
    other = data[:at] + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    assert not differing_rows(shown(tmp_path, other), photo())


@pytest.mark.parametrize("missing", [1, 8])
def test_a_png_short_of_a_few_rows(tmp_path: Path, missing: int) -> None:
    image = shown(tmp_path, png_of(png_rows(SIZE[1] - missing)))
    assert image.getchannel("A").crop((0, SIZE[1] - missing, *SIZE)).getextrema() == (0, 0)
    assert differing_rows(image, photo()) == list(range(SIZE[1] - missing, SIZE[1]))


@pytest.mark.parametrize("missing", [9, 200, 400])
def test_a_png_short_of_more_rows(tmp_path: Path, missing: int) -> None:
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, png_of(png_rows(SIZE[1] - missing)))


def test_an_interlaced_png_short_of_a_few_rows(tmp_path: Path) -> None:
    """The last pass fills in every other row; what it lacks looks like the row above."""
    rows = interlaced_rows()
    assert not differing_rows(shown(tmp_path, png_of(rows, interlace=1)), photo())
    image = shown(tmp_path, png_of(rows[: -2 * (1 + 3 * SIZE[0])], interlace=1))
    assert differing_rows(image, photo()) == [397, 399]
    assert image.crop((0, 397, 96, 398)).tobytes() == image.crop((0, 396, 96, 397)).tobytes()
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, png_of(rows[: -20 * (1 + 3 * SIZE[0])], interlace=1))


@pytest.mark.parametrize(
    ("depth", "colour", "row"),
    [(1, 0, 12), (4, 0, 48), (16, 0, 192), (8, 3, 96), (16, 2, 576), (8, 4, 192), (16, 4, 384), (16, 6, 768)],
)  # fmt: skip
def test_rows_are_counted_whatever_their_depth(
    tmp_path: Path, depth: int, colour: int, row: int
) -> None:
    def png(count: int) -> bytes:
        head = struct.pack(">IIBBBBB", *SIZE, depth, colour, 0, 0, 0)
        stream = zlib.compress((b"\0" + b"\xff" * row) * count)
        palette = chunk(b"PLTE", bytes(range(9)))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + chunk(b"IDAT", stream)

    assert shown(tmp_path, png(393)).convert("RGBA").getpixel((5, 393)) == (0, 0, 0, 0)
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, png(391))


# --- GIF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlace", [0, 1])
def test_a_gif_that_ends_too_soon(tmp_path: Path, interlace: int) -> None:
    data = saved("GIF", photo().quantize(200), interlace=interlace)
    whole = shown(tmp_path, data)
    for lost in (1, 2, 3):
        assert not differing_rows(shown(tmp_path, data[:-lost]), whole)
    rows = differing_rows(shown(tmp_path, data[: -len(data) // 200]), whole)
    assert 0 < len(rows) <= 8
    assert min(rows) > 380
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, data[: len(data) * 95 // 100])


@pytest.mark.parametrize("lost", range(8, 60, 13))
def test_a_gif_that_ends_within_a_row(tmp_path: Path, lost: int) -> None:
    """Each pixel of the row is the right one or transparent; nothing is left to chance."""
    data = saved("GIF", photo().quantize(200), interlace=0)
    whole, image = shown(tmp_path, data).convert("RGBA"), shown(tmp_path, data[:-lost])
    rows = differing_rows(image, whole)
    assert rows
    pixels = [(image.getpixel((x, y)), whole.getpixel((x, y))) for y in rows for x in range(96)]
    assert all(seen == wanted or seen[3] == 0 for seen, wanted in pixels)  # type: ignore[index]
    assert shown(tmp_path, data[:-lost]).tobytes() == image.tobytes()


def test_what_a_gif_lacks_is_transparent(tmp_path: Path) -> None:
    data = saved("GIF", photo().quantize(200), interlace=0)
    image = shown(tmp_path, data[: -len(data) // 200])
    assert image.getchannel("A").getpixel((95, 399)) == 0
    assert image.getchannel("A").getpixel((95, 391)) == 255


# --- JPEG ----------------------------------------------------------------------------------------

KINDS: dict[str, dict[str, object]] = {
    "baseline": {}, "full colour": {"subsampling": 0}, "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 5}, "rows of restarts": {"restart_marker_rows": 1},
    "optimised": {"optimize": True}, "grey": {"mode": "L"}, "cmyk": {"mode": "CMYK"},
}  # fmt: skip


def jpeg(kind: str) -> bytes:
    options = dict(KINDS[kind])
    return saved("JPEG", photo().convert(str(options.pop("mode", "RGB"))), quality=90, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_end_marker(tmp_path: Path, kind: str) -> None:
    data = jpeg(kind)
    whole = shown(tmp_path, data)
    for lost in (1, 2):
        assert not differing_rows(shown(tmp_path, data[:-lost]), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_short_of_a_few_blocks(tmp_path: Path, kind: str) -> None:
    data = jpeg(kind)
    scan = len(jpeg_parts(data)[-2])
    rows = differing_rows(shown(tmp_path, data[: -2 - scan // 150]), shown(tmp_path, data))
    assert (
        not rows or min(rows) >= 383
    )  # the last row of blocks, and a row of pixels that is smoothed with it


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_short_of_more(tmp_path: Path, kind: str, share: float) -> None:
    data = jpeg(kind)
    scan = len(jpeg_parts(data)[-2])
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, data[: -2 - int(scan * share)])


@pytest.mark.parametrize("scans", [1, 3])
def test_a_progressive_jpeg_short_of_scans(tmp_path: Path, scans: int) -> None:
    parts = jpeg_parts(jpeg("progressive"))
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, b"\xff\xd8" + b"".join(parts[: -1 - 2 * scans]))


@pytest.mark.parametrize("kind", ["baseline", "grey", "restarts"])
def test_an_end_marker_makes_no_picture_whole(tmp_path: Path, kind: str) -> None:
    data = jpeg(kind)
    with pytest.raises(errors.TruncatedImage):
        shown(tmp_path, data[: len(data) // 2] + b"\xff\xd9")


def test_a_grey_picture_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    grey = Image.new("RGB", SIZE, (128, 128, 128))
    data = saved("JPEG", grey)
    assert not differing_rows(shown(tmp_path, data), grey)
    assert not differing_rows(shown(tmp_path, data[:-2]), grey)


def test_a_missing_end_is_white_at_every_scale(tmp_path: Path) -> None:
    size = (800, 1600)
    data = saved("JPEG", photo(size), quality=90)
    path = tmp_path / "picture"
    path.write_bytes(data[: -len(data) // 90])
    assert JpegImagePlugin.JpegImageFile(io.BytesIO(data)).size == size
    for width in (50, 100, 200, 800):
        image = variant(path, width, format="png")
        assert image.getpixel((width - 1, image.height - 1)) == (255, 255, 255)
        assert image.getpixel((width - 1, image.height * 95 // 100)) != (255, 255, 255)
