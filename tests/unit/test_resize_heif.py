"""AVIF and HEIC: what is shown of a file, in which colours, and what of it does not matter."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms

from image_cloud import errors
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from tests import heif_files as files
from tests.heif_files import Part, coded, heif
from tests.unit.pictures import (
    BLUE,
    GREEN,
    LIMITS,
    RED,
    WHITE,
    close,
    corners,
    pixel,
    quarters,
    swapped_profile,
    variant,
)

NAMES = ["avif", "heic"]
UPRIGHT = [RED, GREEN, BLUE, WHITE]
WITHIN = 14

# What avifenc made of 16 x 16 pixels of (200, 100, 50) at 10 bits; the codecs here write 8 alone.
TEN_BITS = bytes.fromhex("12000a08380cffd8c04341a4321311400104104400003ef4718acd8bbcf87ec360")


def written(folder: Path, data: bytes) -> Path:
    path = folder / "picture.bin"
    path.write_bytes(data)
    return path


def seen(folder: Path, data: bytes, width: int = 40, height: int = 0) -> Image.Image:
    return variant(written(folder, data), width, height)


def exif(orientation: int) -> bytes:
    """Return the data of an `Exif` item."""
    block = Image.Exif()
    block[0x0112] = orientation
    return bytes(4) + block.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("name", NAMES)
def test_a_picture(tmp_path: Path, name: str) -> None:
    image = seen(tmp_path, files.encoded(quarters(), name))
    assert image.size == (40, 30)
    assert close(corners(image), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([files.rotation(1)], [GREEN, WHITE, RED, BLUE]),
        ([files.rotation(2)], [WHITE, BLUE, GREEN, RED]),
        ([files.rotation(3)], [BLUE, RED, WHITE, GREEN]),
        ([files.mirror(0)], [BLUE, WHITE, RED, GREEN]),
        ([files.mirror(1)], [GREEN, RED, WHITE, BLUE]),
        ([files.rotation(1), files.mirror(0)], [RED, BLUE, GREEN, WHITE]),
        ([files.rotation(3), files.mirror(0)], [WHITE, GREEN, BLUE, RED]),
    ],
)
def test_turns(tmp_path: Path, name: str, turns: list[bytes], expected: list[object]) -> None:
    data = heif([coded(quarters(), name, *turns)], name)
    image = seen(tmp_path, data)
    quarter = turns[0][8] & 1 and turns[0][4:8] == b"irot"
    assert image.size == ((40, 53) if quarter else (40, 30))
    assert close(corners(image), expected, WITHIN)


def test_the_order_of_turns_is_fixed_in_avif_alone(tmp_path: Path) -> None:
    turns = [files.mirror(0), files.rotation(1)]
    avif = seen(tmp_path, heif([coded(quarters(), "avif", *turns)], "avif"))
    assert close(corners(avif), [RED, BLUE, GREEN, WHITE], WITHIN)
    heic = seen(tmp_path, heif([coded(quarters(), "heic", *turns)], "heic"))
    assert close(corners(heic), [WHITE, GREEN, BLUE, RED], WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_exif_turns_nothing(tmp_path: Path, name: str) -> None:
    """The boxes say it all (ISO/IEC 23008-12); browsers ignore EXIF here, too."""
    note = Part(b"Exif", exif(6), references=[(b"cdsc", [1])])
    image = seen(tmp_path, heif([coded(quarters(), name), note], name))
    assert close(corners(image), UPRIGHT, WITHIN)
    image = seen(tmp_path, heif([coded(quarters(), name, files.rotation(2)), note], name))
    assert close(corners(image), UPRIGHT[::-1], WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_camera_writes_is_turned_once(tmp_path: Path, name: str) -> None:
    block = Image.Exif()
    block[0x0112] = 6
    image = seen(tmp_path, files.encoded(quarters(), name, exif=block.tobytes()))
    assert close(corners(image), [BLUE, RED, WHITE, GREEN], WITHIN)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("turns", "size", "expected"),
    [
        ([files.aperture(80, 60, -40, -30)], (80, 60), [RED] * 4),
        ([files.aperture(80, 60, 40, -30), files.rotation(1)], (60, 80), [GREEN] * 4),
        ([files.aperture(81, 61, 1, 1, parts=2)], (81, 61), UPRIGHT),
        ([files.aperture(80, 60, -60, 0)], (160, 120), UPRIGHT),
        ([files.aperture(0, 60)], (160, 120), UPRIGHT),
        ([files.aperture(80, 60, parts=0)], (160, 120), UPRIGHT),
    ],
)
def test_crops(
    tmp_path: Path, name: str, turns: list[bytes], size: tuple[int, int], expected: list[object]
) -> None:
    data = heif([coded(quarters(), name, *turns)], name)
    image = seen(tmp_path, data, 500, 500)
    assert image.size == size
    assert close(corners(image), expected, WITHIN)


# --- made of several -----------------------------------------------------------------------------


def grid(name: str, *more: bytes, size: tuple[int, int] = (150, 120)) -> list[Part]:
    """Return a picture of four tiles, larger together than it is."""
    tiles = [coded(Image.new("RGB", (80, 64), colour), name) for colour in UPRIGHT]
    for tile in tiles:
        tile.hidden = True
    whole = Part(b"grid", files.grid_of(2, 2, *size), [files.size(*size), *more])
    whole.references = [(b"dimg", [2, 3, 4, 5])]
    return [whole, *tiles]


@pytest.mark.parametrize("name", NAMES)
def test_tiles(tmp_path: Path, name: str) -> None:
    image = seen(tmp_path, heif(grid(name), name), 500, 500)
    assert image.size == (150, 120)
    assert close(corners(image), UPRIGHT, WITHIN)
    turned = seen(tmp_path, heif(grid(name, files.rotation(3)), name), 500, 500)
    assert turned.size == (120, 150)
    assert close(corners(turned), [BLUE, RED, WHITE, GREEN], WITHIN)


def test_tiles_as_phones_write_them(tmp_path: Path) -> None:
    big = quarters((1000, 700))
    data = files.encoded(big, "heic", tile_size=256, thumbnails=[128], exif=exif(1)[4:])
    image = seen(tmp_path, data)
    assert image.size == (40, 28)
    assert close(corners(image), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_that_only_repeats_another(tmp_path: Path, name: str) -> None:
    other = coded(quarters(), name, files.rotation(1))
    again = Part(b"iden", b"", [files.size(160, 120), files.mirror(0)], [(b"dimg", [2])])
    image = seen(tmp_path, heif([again, other], name))
    assert close(corners(image), [RED, BLUE, GREEN, WHITE], WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_primary_picture_is_shown(tmp_path: Path, name: str) -> None:
    others = [
        coded(Image.new("RGB", (90, 90)), name),
        coded(quarters(), name),
        coded(Image.new("RGB", (64, 64)), name),
    ]
    others[2].references = [(b"thmb", [2])]
    image = seen(tmp_path, heif(others, name, primary=2))
    assert close(corners(image), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_frame_of_a_sequence(tmp_path: Path, name: str) -> None:
    frames = [coded(quarters(), name), coded(Image.new("RGB", (160, 120)), name)]
    image = seen(tmp_path, files.sequence(frames, name))
    assert close(corners(image), UPRIGHT, WITHIN)


# --- alpha and grey ------------------------------------------------------------------------------


def half_hidden(name: str, *turns: bytes) -> list[Part]:
    """Return the quarters, and as their alpha a picture of which only the left half is opaque."""
    mask = Image.new("L", (160, 120))
    mask.paste(255, (0, 0, 80, 120))
    alpha = coded(mask, name, files.alpha_kind())
    alpha.references, alpha.hidden = [(b"auxl", [1])], True
    return [coded(quarters(), name, *turns), alpha]


@pytest.mark.parametrize("name", NAMES)
def test_alpha(tmp_path: Path, name: str) -> None:
    image = seen(tmp_path, heif(half_hidden(name), name))
    assert image.mode == "RGBA"
    assert close([pixel(image, 10, 7), pixel(image, 10, 22)], [(*RED, 255), (*BLUE, 255)], WITHIN)
    assert pixel(image, 30, 7)[3] < WITHIN
    flat = variant(tmp_path / "picture.bin", format="jpeg")
    assert close(corners(flat), [RED, WHITE, BLUE, WHITE], WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_alpha_turns_with_its_picture(tmp_path: Path, name: str) -> None:
    image = seen(tmp_path, heif(half_hidden(name, files.rotation(1)), name))
    assert [pixel(image, 20, y)[3] // 128 for y in (10, 40)] == [0, 1]


@pytest.mark.parametrize("name", NAMES)
def test_alpha_as_the_codecs_write_it(tmp_path: Path, name: str) -> None:
    image = Image.new("RGBA", (160, 120), (*RED, 100))
    block = Image.Exif()
    block[0x0112] = 8
    found = seen(tmp_path, files.encoded(image, name, exif=block.tobytes()))
    assert found.size == (40, 53)
    assert close(pixel(found, 20, 20), (*RED, 100), WITHIN)


def test_alpha_of_a_sequence(tmp_path: Path) -> None:
    colour, alpha = half_hidden("avif")
    image = seen(tmp_path, files.sequence([colour], "avif", alpha=alpha))
    assert [pixel(image, x, 7)[3] // 128 for x in (10, 30)] == [1, 0]


@pytest.mark.parametrize("name", NAMES)
def test_grey(tmp_path: Path, name: str) -> None:
    ramp = Image.linear_gradient("L").resize((160, 120))
    image = seen(tmp_path, files.encoded(ramp, name)).convert("L")
    assert close(pixel(image, 20, 15), 132, 5)


# --- depth and colours ---------------------------------------------------------------------------


def test_ten_bits_a_sample(tmp_path: Path) -> None:
    target = io.BytesIO()
    row = struct.pack("<3H", 0xC8C8, 0x6464, 0x3232) * 64
    pillow_heif.encode("RGB;16", (64, 64), row * 64, target, chroma=444)
    assert b"\x0a\x0a\x0a" in target.getvalue()
    assert close(pixel(seen(tmp_path, target.getvalue()), 20, 20), (200, 100, 50), 3)
    header = files.box(b"av1C", bytes.fromhex("81204000"))
    part = Part(b"av01", TEN_BITS, [files.size(16, 16), header, files.numbered_colours(1, 13)])
    assert close(pixel(seen(tmp_path, heif([part]), 8), 4, 4), (200, 100, 50), 3)


@pytest.mark.parametrize("name", NAMES)
def test_profiles_are_applied(tmp_path: Path, name: str) -> None:
    image = Image.new("RGB", (64, 64), (200, 20, 20))
    data = heif([coded(image, name, files.profile(swapped_profile()))], name)
    assert close(pixel(seen(tmp_path, data), 20, 20), (20, 20, 200), 10)
    data = heif([coded(image, name, files.profile(b"broken"))], name)
    assert close(pixel(seen(tmp_path, data), 20, 20), (200, 20, 20), 10)


def with_colours(name: str, colour: tuple[int, ...], *colours: bytes) -> bytes:
    part = coded(Image.new("RGB", (64, 64), colour), name, quality=95)
    kept = [one for one in part.properties if one[4:8] != b"colr"]
    part.properties = [*kept, *colours]
    return heif([part], name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("colour", "numbers", "expected"),
    [
        ((200, 30, 40), (1, 13), (200, 30, 40)),
        ((200, 30, 40), (2, 2), (200, 30, 40)),
        ((200, 30, 40), (1, 1), (200, 30, 40)),
        ((200, 60, 60), (12, 13), (217, 42, 52)),  # Display P3
        ((128, 128, 128), (12, 13), (128, 128, 128)),
        ((100, 150, 100), (9, 14), (37, 155, 92)),  # BT.2020
        ((128, 128, 128), (1, 8), (188, 188, 188)),  # linear
        ((136, 136, 136), (9, 16), (153, 153, 153)),  # PQ
        ((184, 184, 184), (9, 18), (174, 174, 174)),  # HLG
    ],
)
def test_numbered_colours(
    tmp_path: Path,
    name: str,
    colour: tuple[int, ...],
    numbers: tuple[int, int],
    expected: tuple[int, ...],
) -> None:
    """As Chromium shows them, in AVIF."""
    data = with_colours(name, colour, files.numbered_colours(*numbers))
    assert close(pixel(seen(tmp_path, data), 20, 20), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_goes_before_numbers(tmp_path: Path, name: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = [files.numbered_colours(12, 13), files.profile(srgb)]
    data = with_colours(name, (200, 60, 60), *colours)
    assert close(pixel(seen(tmp_path, data), 20, 20), (200, 60, 60), 4)


# --- what does not matter ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("brands", [b"mif1miaf", b"mif1", b"miafMA1B", b"msf1mif1"])
def test_brands_that_name_no_codec(tmp_path: Path, name: str, brands: bytes) -> None:
    image = seen(tmp_path, heif([coded(quarters(), name)], name, brands=brands))
    assert close(corners(image), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_no_pixels_costs_none(tmp_path: Path, name: str) -> None:
    picture = coded(quarters(), name)
    notes = [
        Part(b"Exif", b"\xff" * 9, references=[(b"cdsc", [1])]),
        Part(b"mime", b"<x:xmpmeta", references=[(b"cdsc", [1])]),
        Part(b"hvc1", b"", [files.size(2**31, 2**31)], [(b"thmb", [1])]),
        Part(b"tmap", b"?", [], [(b"dimg", [1, 99])]),
    ]
    data = heif([picture, *notes], name)
    assert close(corners(seen(tmp_path, data)), UPRIGHT, WITHIN)
    # The last notes lie behind the picture: cut off, they are not missed.
    assert close(corners(seen(tmp_path, data[:-11])), UPRIGHT, WITHIN)
    assert close(corners(seen(tmp_path, data + b"trailing rubbish")), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_may_lie_within_the_headers(tmp_path: Path, name: str) -> None:
    data = heif([*half_hidden(name, files.rotation(2))], name, inside=True)
    assert b"mdat" not in data
    assert close(pixel(seen(tmp_path, data), 30, 22), (*RED, 255), WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_may_lie_in_pieces(tmp_path: Path, name: str) -> None:
    data = heif([coded(quarters(), name)], name)
    at = data.index(b"iloc") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    start, size = struct.unpack(">II", data[at + length - 8 : at + length])
    grown, half = 8, size // 2
    first = struct.pack(">II", start + grown, half)
    second = struct.pack(">II", start + grown + half, size - half)
    entry = b"".join(map(files.short, (1, 0, 0, 2)))
    places = files.full(b"iloc", b"\x44\0", files.short(1), entry, first, second, version=1)
    meta = data.index(b"meta") - 4
    bigger = int.from_bytes(data[meta : meta + 4], "big") + grown
    head = data[:meta] + bigger.to_bytes(4, "big") + data[meta + 4 : at]
    image = seen(tmp_path, head + places + data[at + length :])
    assert close(corners(image), UPRIGHT, WITHIN)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_file(tmp_path: Path, name: str) -> None:
    data = files.encoded(quarters(), name)
    for end in (40, 200, len(data) - 1):
        with pytest.raises(errors.TruncatedImage, match=name):
            resize(written(tmp_path, data[:end]), Recipe(40, 40), LIMITS)


@pytest.mark.parametrize(
    ("kind", "words"), [(b"avc1", "H.264"), (b"jpeg", "JPEG"), (b"vvc1", "VVC")]
)
def test_other_codecs_are_named(tmp_path: Path, kind: bytes, words: str) -> None:
    data = heif([Part(kind, b"data", [files.size(64, 64)])], brands=b"mif1")
    with pytest.raises(errors.UnsupportedFormat, match=words):
        resize(written(tmp_path, data), Recipe(40, 40), LIMITS)
