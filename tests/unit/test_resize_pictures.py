"""Resizing as the contract has it: orientation, colour, depth, alpha, frames, formats."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms

from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize, resize_all
from image_cloud.resize.encode import avif_quality
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

UPRIGHT = [RED, GREEN, BLUE, WHITE]
TURNED = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}
OUTPUTS = ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_orientation(tmp_path: Path, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, quarters(), format, exif=exif)
    image = variant(path, 40)
    assert image.size == ((40, 30) if orientation < 5 else (40, 53))
    assert close(corners(image), TURNED[orientation], 12)
    assert not image.getexif()


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"junk", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_broken_exif_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    path = saved(tmp_path, quarters(), "jpeg", exif=exif)
    assert close(corners(variant(path)), UPRIGHT, 12)


@pytest.mark.parametrize("format", OUTPUTS)
def test_every_format_is_written_without_metadata(tmp_path: Path, format: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera"
    exif.get_ifd(0x8825)[1] = "N"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path, quarters(), "jpeg", exif=exif, icc_profile=srgb, comment=b"secret")
    image = variant(path, format=format)
    assert image.format == format.upper()
    assert image.size == (40, 30)
    assert close(corners(image.convert("RGB")), UPRIGHT, 12)
    assert not {"exif", "icc_profile", "comment", "xmp", "photoshop"} & set(image.info)
    data = resize(path, Recipe(40, 0, format=format), LIMITS)
    assert b"camera" not in data
    assert b"secret" not in data


def test_a_small_picture_keeps_its_size_unless_it_may_grow(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters((30, 20)), "png")
    assert variant(path, 90, 90).size == (30, 20)
    assert variant(path, 90, 90, enlarge=True).size == (90, 60)
    assert variant(path, 90, 0, mode="stretch").size == (90, 20)


def test_extreme_shapes(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (1, 10_000), RED), "jpeg")
    assert variant(path, 200, 200).size == (1, 200)
    assert variant(path, 3, 5, mode="stretch").size == (3, 5)


def test_pad_centres_on_white(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (100, 50), RED), "jpeg")
    image = variant(path, 50, 50, mode="pad", format="jpeg").convert("RGB")
    assert image.size == (50, 50)
    assert close([pixel(image, 25, y) for y in (5, 25, 45)], [WHITE, RED, WHITE])


def test_pad_shows_white_through_alpha(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (100, 50), (0, 0, 255, 0)), "png")
    image = variant(path, 50, 50, mode="pad")
    assert image.mode == "RGB"
    assert image.getextrema() == ((255, 255),) * 3


def test_several_variants_of_one_decode(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters((1600, 1200)), "jpeg")
    recipes = [Recipe(200, 200), Recipe(0, 50, format="png"), Recipe(1600, 900, "stretch")]
    images = [loaded(data) for data in resize_all(path, recipes, LIMITS)]
    assert [image.size for image in images] == [(200, 150), (67, 50), (1600, 900)]
    assert all(close(corners(image), UPRIGHT) for image in images)


# --- alpha ---------------------------------------------------------------------------------------


def test_hidden_colours_do_not_bleed(tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 100), (0, 255, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 55, 100))
    small = variant(saved(tmp_path, image, "png"), 10)
    assert small.mode == "RGBA"
    red, green, _, alpha = pixel(small, 5, 5)
    assert 60 < alpha < 200
    assert red > 190
    assert green < 10


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_alpha_becomes_white_where_the_format_has_none(tmp_path: Path, format: str) -> None:
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    image.paste((0, 0, 200, 128), (50, 0, 100, 100))
    small = variant(saved(tmp_path, image, "png"), 20, format=format).convert("RGB")
    assert close([pixel(small, 4, 10), pixel(small, 15, 10)], [WHITE, (127, 127, 227)], 12)


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "gif"])
def test_alpha_is_kept_where_the_format_has_it(tmp_path: Path, format: str) -> None:
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (50, 0, 100, 100))
    small = variant(saved(tmp_path, image, "png"), 20, format=format).convert("RGBA")
    assert pixel(small, 4, 10)[3] == 0
    assert close(pixel(small, 15, 10), (200, 0, 0, 255))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_trns_of_a_png(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (100, 100), "white")
    image.paste((0, 0, 0), (50, 0, 100, 100))
    image = image.convert(mode)
    key = {"L": 255, "RGB": (255, 255, 255), "P": image.getpixel((0, 0)), "1": 1}[mode]
    small = variant(saved(tmp_path, image, "png", transparency=key), 20).convert("RGBA")
    assert pixel(small, 4, 10)[3] == 0
    assert close(pixel(small, 15, 10), (0, 0, 0, 255))


def test_trns_of_a_deep_png(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">60H", *[0x1234, 0x8000, 0xFFFF] * 20) for _ in range(20))
    path = tmp_path / "deep.png"
    path.write_bytes(png(20, 20, 16, 2, rows, trns=struct.pack(">3H", 0x1234, 0x8000, 0xFFFF)))
    assert variant(path, 10).convert("RGBA").getchannel("A").getextrema() == (0, 0)
    grey = b"".join(b"\0" + struct.pack(">20H", *[300] * 10, *[65535] * 10) for _ in range(20))
    path.write_bytes(png(20, 20, 16, 0, grey, trns=struct.pack(">H", 300)))
    small = variant(path, 10).convert("RGBA")
    assert pixel(small, 1, 5)[3] == 0
    assert pixel(small, 8, 5) == (255, 255, 255, 255)


# --- depth and palettes --------------------------------------------------------------------------


def png(width: int, height: int, depth: int, kind: int, rows: bytes, trns: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    key = chunk(b"tRNS", trns) if trns else b""
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + key + body


def test_deep_grey_is_scaled(tmp_path: Path) -> None:
    levels = [0, 16_448, 32_896, 65_535]
    row = struct.pack("<40H", *[level for level in levels for _ in range(10)])
    image = Image.frombytes("I;16", (40, 8), row * 8)
    for format in ("png", "tiff"):
        small = variant(saved(tmp_path, image, format), 20)
        assert close([pixel(small, x, 2) for x in (2, 7, 12, 17)], [0, 64, 128, 255], 8)


@pytest.mark.parametrize(
    ("mode", "levels"), [("I", [0, 65_535]), ("F", [0.0, 1.0]), ("F", [0.0, 255.0])]
)
def test_whole_and_real_numbers_are_scaled(tmp_path: Path, mode: str, levels: list[float]) -> None:
    image = Image.new(mode, (40, 8), levels[0])
    image.paste(levels[1], (20, 0, 40, 8))
    small = variant(saved(tmp_path, image, "tiff"), 20)
    assert close([pixel(small, 2, 2), pixel(small, 17, 2)], [0, 255], 0)


def test_deep_rgb_is_scaled(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">60H", *[0x4000, 0x8000, 0xFFFF] * 20) for _ in range(20))
    path = tmp_path / "deep.png"
    path.write_bytes(png(20, 20, 16, 2, rows))
    assert close(pixel(variant(path, 10), 5, 5), (64, 128, 255), 1)


def test_one_bit_is_resampled_to_grey(tmp_path: Path) -> None:
    image = Image.new("1", (100, 100))
    image.putdata([(x + y) % 2 for y in range(100) for x in range(100)])
    for format in ("png", "tiff", "gif"):
        small = variant(saved(tmp_path, image, format), 25).convert("L")
        assert close(pixel(small, 12, 12), 127, 12)


def test_palettes_are_resampled_as_colours(tmp_path: Path) -> None:
    image = Image.new("P", (100, 100))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([(x % 2) * 2 for _ in range(100) for x in range(100)])
    small = variant(saved(tmp_path, image, "png"), 25)
    assert close(pixel(small, 12, 12), (127, 0, 127), 12)


# --- colour --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_profiles_are_applied(tmp_path: Path, format: str) -> None:
    image = Image.new("RGB", (64, 64), (200, 20, 20))
    path = saved(tmp_path, image, format, icc_profile=swapped_profile())
    assert close(pixel(variant(path, 10), 5, 5), (20, 20, 200), 10)


def test_profiles_leave_alpha_alone(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (200, 20, 20, 100))
    path = saved(tmp_path, image, "png", icc_profile=swapped_profile())
    assert close(pixel(variant(path, 10), 5, 5), (20, 20, 200, 100), 3)


@pytest.mark.parametrize("icc", [b"junk", b"\0" * 200, swapped_profile()[:300]])
def test_broken_profiles_are_ignored(tmp_path: Path, icc: bytes) -> None:
    path = saved(tmp_path, quarters(), "jpeg", icc_profile=icc)
    assert close(corners(variant(path)), UPRIGHT, 12)


def test_profiles_for_another_mode_are_ignored(tmp_path: Path) -> None:
    path = saved(tmp_path, quarters().convert("CMYK"), "jpeg", icc_profile=swapped_profile())
    assert close(corners(variant(path)), UPRIGHT, 12)
    path = saved(tmp_path, Image.new("L", (50, 50), 77), "jpeg", icc_profile=swapped_profile())
    assert close(pixel(variant(path), 9, 9), 77, 2)


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_cmyk_becomes_rgb(tmp_path: Path, format: str) -> None:
    path = saved(tmp_path, quarters().convert("CMYK"), format)
    image = variant(path, format="jpeg")
    assert image.mode == "RGB"
    assert close(corners(image), UPRIGHT, 12)


def test_adobes_ycck_becomes_rgb(tmp_path: Path) -> None:
    """An Adobe marker that says YCCK: the inks are written as luma and chroma."""
    plain = io.BytesIO()
    bands = [
        ImageChops.invert(band) for band in ImageChops.invert(quarters()).convert("YCbCr").split()
    ]
    Image.merge("CMYK", (*bands, Image.new("L", bands[0].size))).save(plain, "JPEG", quality=95)
    data = plain.getvalue()
    at = data.index(b"Adobe") + 11
    path = tmp_path / "ycck.jpg"
    path.write_bytes(data[:at] + b"\x02" + data[at + 1 :])
    assert close(corners(variant(path)), UPRIGHT, 12)


# --- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_the_first_frame_is_taken(tmp_path: Path, format: str) -> None:
    rest = [Image.new("RGB", (160, 120), colour) for colour in ("black", "yellow")]
    path = saved(tmp_path, quarters(), format, save_all=True, append_images=rest)
    assert close(corners(variant(path).convert("RGB")), UPRIGHT, 16)


# --- AVIF ----------------------------------------------------------------------------------------


def test_avif_has_jpegs_scale_of_quality() -> None:
    qualities = [avif_quality(quality) for quality in range(1, 101)]
    assert qualities == sorted(qualities)
    assert (qualities[0], qualities[84], qualities[99]) == (1, 69, 100)


def test_a_photo_takes_fewer_bytes_in_avif(tmp_path: Path) -> None:
    photo = Image.effect_mandelbrot((800, 600), (-2, -1.2, 1, 1.2), 90).convert("RGB")
    path = saved(tmp_path, photo, "png")
    sizes = [
        len(resize(path, Recipe(400, 0, format=format, quality=quality), LIMITS))
        for format in ("jpeg", "avif")
        for quality in (50, 85)
    ]
    assert sizes[2] < sizes[0]
    assert sizes[2] < sizes[3] < sizes[1]
