"""Odd pictures look as they do in Chromium 156; where numbers stand here, it was asked."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from image_cloud import errors
from image_cloud.resize.profiles import icc
from tests.unit.pictures import GREEN, RED, close, loaded, pixel, quarters, variant
from tests.unit.test_resize_side_parts import chunk, segment

SIDE = 20
CLEAR, WHITE = (0, 0, 0, 0), (255, 255, 255)
COLOUR = (55, 100, 200)
D65 = (0.3127, 0.3290)
SRGB_POINTS = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
LINEAR = icc.profile(SRGB_POINTS, D65, lambda value: value)
AS_LINEAR = (128, 168, 229)
"""COLOUR where its values are proportional to light."""

Colour = tuple[int, ...]


def shown(folder: Path, data: bytes, **options: object) -> Image.Image:
    path = folder / "picture"
    path.write_bytes(data)
    return variant(path, 5000, **options)


def middle(folder: Path, data: bytes) -> Colour:
    image = shown(folder, data)
    return pixel(image, image.width // 2, image.height // 2)


# --- PNG -----------------------------------------------------------------------------------------


def stream(row: bytes, rows: int = SIDE) -> bytes:
    return zlib.compress((b"\0" + row) * rows)


def png(
    *parts: bytes, depth: int = 8, colour: int = 2, size: tuple[int, int] = (SIDE, SIDE)
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + chunk(b"IEND", b"")


def flat(
    colour: Colour = COLOUR, kind: bytes = b"IDAT", number: bytes = b"", side: int = SIDE
) -> bytes:
    return chunk(kind, number + stream(bytes(colour) * side, side))


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def primaries(*points: int) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *points))


def embedded(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))


P3 = primaries(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB = primaries(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize(
    ("sides", "seen"),
    [
        (b"", COLOUR),
        (gamma(100_000), AS_LINEAR),
        (gamma(45_455), COLOUR),
        (gamma(47_000), COLOUR),
        (gamma(55_555), (71, 119, 210)),
        (gamma(220_000), (187, 211, 243)),
        (gamma(10_000), (0, 0, 84)),
        (gamma(0), COLOUR),
        (P3, COLOUR),
        (gamma(45_455) + P3, (30, 101, 208)),
        (P3 + gamma(100_000), (116, 170, 234)),
        (gamma(45_455) + SRGB, (52, 100, 201)),
        (gamma(100_000) + primaries(*[0] * 8), COLOUR),
        (gamma(100_000) + primaries(*[30_000] * 8), COLOUR),
        (gamma(100_000) + chunk(b"cHRM", bytes(12)), AS_LINEAR),
        (chunk(b"sRGB", b"\0") + gamma(100_000), COLOUR),
        (gamma(100_000) + chunk(b"sRGB", b"\3"), COLOUR),
        (chunk(b"sRGB", b"\x09") + gamma(100_000), AS_LINEAR),
        (chunk(b"sRGB", b"") + gamma(100_000), AS_LINEAR),
        (gamma(100_000) + gamma(45_455), AS_LINEAR),
        (chunk(b"gAMA", bytes(8)), COLOUR),
        (chunk(b"gAMA", struct.pack(">I", 100_000), sound=False), COLOUR),
        (embedded(LINEAR), AS_LINEAR),
        (chunk(b"sRGB", b"\0") + embedded(LINEAR), AS_LINEAR),
        (embedded(LINEAR[:200]) + gamma(100_000), AS_LINEAR),
        (chunk(b"iCCP", b"name\0\0not zlib") + gamma(100_000), AS_LINEAR),
        (chunk(b"cICP", bytes([12, 13, 0, 1])), (37, 101, 207)),
        (chunk(b"cICP", bytes([12, 13, 0, 1])) + embedded(LINEAR), (37, 101, 207)),
        (chunk(b"cICP", bytes([1, 8, 0, 1])), AS_LINEAR),
        (chunk(b"cICP", bytes([12, 13, 0, 0])), COLOUR),
    ],
)
def test_what_a_png_says_of_its_colours(tmp_path: Path, sides: bytes, seen: Colour) -> None:
    assert close(middle(tmp_path, png(sides, flat())), seen, 2)


@pytest.mark.parametrize(
    ("primaries", "transfer", "seen"),
    [
        (9, 16, (0, 34, 255)), (9, 18, (0, 77, 185)), (1, 16, (8, 43, 255)), (1, 18, (41, 76, 178)),
        (12, 16, (0, 42, 255)), (12, 18, (26, 77, 185)), (1, 1, (44, 91, 197)), (1, 6, (44, 91, 197)),
        (9, 14, (0, 94, 205)), (1, 17, (39, 87, 200)), (8, 13, (13, 98, 206)), (10, 13, (0, 133, 209)),
    ],
)  # fmt: skip
def test_colours_told_by_numbers(
    tmp_path: Path, primaries: int, transfer: int, seen: Colour
) -> None:
    """High dynamic range keeps its hues; a television's curve is not a screen's."""
    numbers = chunk(b"cICP", bytes([primaries, transfer, 0, 1]))
    assert close(middle(tmp_path, png(numbers, flat())), seen, 4)


def test_colours_are_told_before_the_pixels_or_not_at_all(tmp_path: Path) -> None:
    assert middle(tmp_path, png(flat(), gamma(100_000))) == COLOUR


def test_gamma_of_grey(tmp_path: Path) -> None:
    assert close(middle(tmp_path, png(gamma(100_000), flat((55,)), colour=0)), (128,), 2)
    assert close(middle(tmp_path, png(gamma(100_000), P3, flat((55,)), colour=0)), (128,), 2)


@pytest.mark.parametrize("size", [1_200_000, 5_000_000, 20_000_000])
def test_a_good_profile_of_any_size(tmp_path: Path, size: int) -> None:
    larger = struct.pack(">I", size) + LINEAR[4:].ljust(size - 4, b"\0")
    assert close(middle(tmp_path, png(embedded(larger), flat())), AS_LINEAR, 2)


def jpeg(mode: str = "RGB", colour: Colour = COLOUR, *sides: bytes) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (SIDE, SIDE), colour).save(file, "JPEG", quality=95)
    return b"\xff\xd8" + b"".join(sides) + file.getvalue()[2:]


def profile_parts(profile: bytes, count: int) -> list[bytes]:
    step = -(-len(profile) // count)
    return [
        segment(
            0xE2, b"ICC_PROFILE\0" + bytes([number + 1, count]) + profile[number * step :][:step]
        )
        for number in range(count)
    ]


def test_profiles_of_a_jpeg(tmp_path: Path) -> None:
    parts = profile_parts(LINEAR, 3)
    for order in (parts, parts[::-1], parts + parts):
        assert close(middle(tmp_path, jpeg("RGB", COLOUR, *order)), AS_LINEAR, 3)
    for incomplete in (parts[:2], parts[1:], profile_parts(LINEAR[:-40], 2)):
        assert close(middle(tmp_path, jpeg("RGB", COLOUR, *incomplete)), COLOUR, 3)
    large = struct.pack(">I", 6_000_000) + LINEAR[4:].ljust(5_999_996, b"\0")
    assert close(middle(tmp_path, jpeg("RGB", COLOUR, *profile_parts(large, 100))), AS_LINEAR, 3)


def test_grey_with_a_profile_of_colours(tmp_path: Path) -> None:
    assert close(middle(tmp_path, jpeg("L", (55,), *profile_parts(LINEAR, 1))), (128,), 3)
    cmyk = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert close(middle(tmp_path, jpeg("L", (55,), *profile_parts(cmyk, 1))), (55,), 3)


@pytest.mark.parametrize(("depth", "value"), [(1, 1), (2, 2), (4, 9), (8, 200), (16, 0x1234)])
def test_a_transparent_grey(tmp_path: Path, depth: int, value: int) -> None:
    """Left the colour that is transparent, right its neighbour."""
    values = [value] * 16 + [value - 1] * 16
    row = int("".join(f"{one:0{depth}b}" for one in values), 2).to_bytes(4 * depth, "big")
    data = png(
        chunk(b"tRNS", struct.pack(">H", value)), chunk(b"IDAT", stream(row, 4)),
        depth=depth, colour=0, size=(32, 4),
    )  # fmt: skip
    alpha = shown(tmp_path, data).getchannel("A")
    assert (alpha.getpixel((4, 2)), alpha.getpixel((28, 2))) == (0, 255)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour(tmp_path: Path, depth: int) -> None:
    form, key = (">3B", (200, 10, 7)) if depth == 8 else (">3H", (0xC801, 0x0A02, 0x0703))
    near = (*key[:2], key[2] + 1)
    row = struct.pack(form, *key) * 16 + struct.pack(form, *near) * 16
    data = png(
        chunk(b"tRNS", struct.pack(">3H", *key)), chunk(b"IDAT", stream(row, 4)),
        depth=depth, size=(32, 4),
    )  # fmt: skip
    image = shown(tmp_path, data)
    assert pixel(image, 4, 2)[3] == 0
    assert close(pixel(image, 28, 2), (200, 10, 7, 255), 1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_palette_entry(tmp_path: Path, depth: int) -> None:
    palette = chunk(b"PLTE", bytes([*RED, *GREEN]))
    for sides, seen in (
        ((palette, chunk(b"tRNS", b"\0")), CLEAR),
        ((palette, chunk(b"tRNS", b"\x80")), (*RED, 128)),
        ((palette, chunk(b"tRNS", b"\0\xff\0\0")), CLEAR),
        ((chunk(b"tRNS", b"\0"), palette), RED),
        ((palette, chunk(b"tRNS", b"\0", sound=False)), RED),
        ((palette, chunk(b"tRNS", bytes(256))), CLEAR),
        ((palette, chunk(b"tRNS", bytes(257))), RED),
    ):
        data = png(*sides, chunk(b"IDAT", stream(bytes(SIDE))), depth=depth, colour=3)
        assert close(middle(tmp_path, data)[3:], seen[3:], 1)
        assert seen == CLEAR or close(middle(tmp_path, data), seen, 1)


def test_a_palette_that_is_too_short_goes_on_with_its_last_colour(tmp_path: Path) -> None:
    row = chunk(b"IDAT", stream(b"\x07" * SIDE))
    assert middle(tmp_path, png(chunk(b"PLTE", bytes([*RED, *GREEN])), row, colour=3)) == GREEN
    assert middle(tmp_path, png(chunk(b"PLTE", bytes([*RED, *GREEN, 1])), row, colour=3)) == GREEN
    assert middle(tmp_path, png(chunk(b"PLTE", bytes(GREEN) * 300), row, colour=3)) == GREEN
    with pytest.raises(errors.CorruptImage):
        middle(tmp_path, png(row, colour=3))


# --- APNG ----------------------------------------------------------------------------------------


def control(number: int, side: int = SIDE, corner: int = 0) -> bytes:
    return chunk(b"fcTL", struct.pack(">5I2H2B", number, side, side, corner, corner, 1, 10, 0, 0))


def data_of(number: int, colour: Colour, side: int = SIDE) -> bytes:
    return flat(colour, b"fdAT", struct.pack(">I", number), side)


ANIMATED = chunk(b"acTL", struct.pack(">II", 2, 0))


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        (
            [ANIMATED, flat(RED), control(0), data_of(1, GREEN), control(2), data_of(3, COLOUR)],
            GREEN,
        ),
        ([ANIMATED, control(0), flat(GREEN), control(1), data_of(2, RED)], GREEN),
        ([flat(GREEN), control(0), data_of(1, RED)], GREEN),
        ([chunk(b"acTL", bytes(8)), flat(GREEN), control(0), data_of(1, RED)], GREEN),
        (
            [chunk(b"acTL", b"\x80\0\0\1" + bytes(4)), flat(GREEN), control(0), data_of(1, RED)],
            GREEN,
        ),
        ([chunk(b"acTL", b"\0\0"), flat(GREEN), control(0), data_of(1, RED)], GREEN),
        ([ANIMATED, flat(GREEN)], GREEN),
        ([ANIMATED, flat(GREEN), control(0, SIDE, 5), data_of(1, RED)], GREEN),
        ([ANIMATED, flat(GREEN), control(0), data_of(1, RED)[:30]], GREEN),
        ([ANIMATED, chunk(b"IDAT", b"broken"), control(0), data_of(1, GREEN)], GREEN),
    ],
)
def test_the_first_frame_of_an_apng(tmp_path: Path, parts: list[bytes], seen: Colour) -> None:
    assert middle(tmp_path, png(*parts)) == seen


def test_a_frame_smaller_than_its_apng_stands_on_transparency(tmp_path: Path) -> None:
    image = shown(tmp_path, png(ANIMATED, flat(RED), control(0, 10, 5), data_of(1, GREEN, 10)))
    assert [pixel(image, place, place) for place in (2, 10, 17)] == [CLEAR, (*GREEN, 255), CLEAR]


# --- GIF -----------------------------------------------------------------------------------------


def gif(
    screen: tuple[int, int], *frames: bytes, palette: bytes = bytes([*RED, *GREEN] * 2)
) -> bytes:
    flags = 0x81 if palette else 0
    return (
        b"GIF89a" + struct.pack("<HHBBB", *screen, flags, 0, 0) + palette + b"".join(frames) + b";"
    )


def frame(left: int, top: int, width: int, height: int, entry: int = 1) -> bytes:
    codes = [code for _ in range(width * height) for code in (4, entry)] + [5]
    bits = sum(code << 3 * place for place, code in enumerate(codes))
    data = bits.to_bytes(-(-3 * len(codes) // 8), "little")
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    coded = b"".join(bytes([len(block)]) + block for block in blocks)
    return b"," + struct.pack("<4HB", left, top, width, height, 0) + b"\2" + coded + b"\0"


def key(entry: int) -> bytes:
    return b"!\xf9\4\1\0\0" + bytes([entry, 0])


SEEN = (*GREEN, 255)


@pytest.mark.parametrize(
    ("data", "size", "seen"),
    [
        (gif((20, 20), frame(5, 5, 10, 10)), (20, 20), [CLEAR, SEEN, CLEAR]),
        (gif((20, 20), frame(15, 15, 10, 10)), (25, 25), [CLEAR, CLEAR, SEEN]),
        (gif((20, 20), frame(30, 30, 10, 10)), (40, 40), [CLEAR, CLEAR, SEEN]),
        (gif((0, 0), frame(5, 5, 10, 10)), (15, 15), [CLEAR, SEEN, SEEN]),
        (gif((20, 20), frame(5, 5, 0, 0), frame(0, 0, 20, 20)), (20, 20), [CLEAR] * 3),
        (gif((20, 20), frame(5, 5, 0, 9)), (20, 20), [CLEAR] * 3),
        (gif((20, 20), key(1), frame(0, 0, 20, 20)), (20, 20), [CLEAR] * 3),
        (gif((20, 20), frame(0, 0, 40, 40), frame(0, 0, 20, 20, 0)), (40, 40), [GREEN] * 3),
    ],
)
def test_a_gifs_first_frame_on_its_screen(
    tmp_path: Path, data: bytes, size: tuple[int, int], seen: list[Colour]
) -> None:
    image = shown(tmp_path, data)
    assert image.size == size
    places = [(size[0] * part // 10, size[1] * part // 10) for part in (1, 5, 9)]
    assert [pixel(image, *place) for place in places] == seen
    flat_image = shown(tmp_path, data, format="jpeg")
    wanted = [WHITE if one == CLEAR else one[:3] for one in seen]
    assert close([pixel(flat_image, *place) for place in places], wanted, 24)


@pytest.mark.parametrize(
    "data", [gif((0, 0), frame(0, 0, 0, 0)), gif((20, 20)), gif((0, 9), frame(0, 0, 0, 9))]
)
def test_a_gif_without_pixels(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(errors.UnusableImage):
        shown(tmp_path, data)


def test_a_gif_is_written_with_one_bit_of_alpha(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    levels = (0, 64, 127, 128, 200, 255)
    image = Image.new("RGBA", (len(levels) * 10, 10), (*RED, 0))
    for place, alpha in enumerate(levels):
        image.paste((*RED, alpha), (place * 10, 0, place * 10 + 10, 10))
    image.save(path)
    written = variant(path, 5000, format="gif").convert("RGBA")
    seen = [pixel(written, place * 10 + 5, 5) for place in range(len(levels))]
    assert [one[3] for one in seen] == [0, 0, 0, 255, 255, 255]
    assert close([one[:3] for one in seen[3:]], [RED] * 3)


# --- orientation ---------------------------------------------------------------------------------


def exif(value: int, kind: int = 3, count: int = 1, order: str = ">") -> bytes:
    start = b"MM\0*" if order == ">" else b"II*\0"
    told = struct.pack(order + "HHI", 0x112, kind, count) + struct.pack(order + "HH", value, 0)
    return start + struct.pack(order + "IH", 8, 1) + told + bytes(4)


XMP = (
    b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
)
LYING, UPRIGHT = (64, 48), (48, 64)


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([b"Exif\0\0" + exif(6)], UPRIGHT),
        ([b"Exif\0\0" + exif(6, order="<")], UPRIGHT),
        ([b"Exif\0\xff" + exif(6)], UPRIGHT),
        ([b"Exif\0\0" + exif(1), b"Exif\0\0" + exif(6)], LYING),
        ([b"Exif\0\0" + exif(9)], LYING),
        ([b"Exif\0\0" + exif(6, kind=4)], LYING),
        ([b"Exif\0\0" + exif(6, count=2)], LYING),
        ([b"Exif\0\0" + exif(6)[:12]], LYING),
        ([XMP], LYING),
        ([XMP, b"Exif\0\0" + exif(1)], LYING),
    ],
)
def test_what_turns_a_jpeg(tmp_path: Path, sides: list[bytes], size: tuple[int, int]) -> None:
    file = io.BytesIO()
    quarters(LYING).save(file, "JPEG")
    segments = b"".join(segment(0xE1, body) for body in sides)
    assert shown(tmp_path, b"\xff\xd8" + segments + file.getvalue()[2:]).size == size


TEXT = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
RAW = b"Raw profile type exif\0\nexif\n      36\n" + exif(6).hex().encode() + b"\n"


@pytest.mark.parametrize(
    ("side", "size"),
    [
        (chunk(b"eXIf", exif(6)), UPRIGHT),
        (chunk(b"eXIf", b"Exif\0\0" + exif(6)), UPRIGHT),
        (chunk(b"eXIf", exif(6), sound=False), LYING),
        (chunk(b"iTXt", TEXT), LYING),
        (chunk(b"tEXt", RAW), LYING),
        (chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(RAW[22:])), LYING),
    ],
)
def test_what_turns_a_png(tmp_path: Path, side: bytes, size: tuple[int, int]) -> None:
    pixels = flat(COLOUR, side=64)
    for parts in ((side, pixels), (pixels, side)):
        assert shown(tmp_path, png(*parts, size=LYING)).size == size


def test_xmp_turns_neither_webp_nor_tiff(tmp_path: Path) -> None:
    for format, options in (("WEBP", {"xmp": XMP}), ("TIFF", {"tiffinfo": {700: XMP}})):
        file = io.BytesIO()
        quarters(LYING).save(file, format, **options)
        assert loaded(file.getvalue()).info.get("xmp")
        assert shown(tmp_path, file.getvalue()).size == LYING


# --- BMP -----------------------------------------------------------------------------------------

MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
RAW_ROWS, BITFIELDS, ALPHA_BITFIELDS = 0, 3, 6


def bmp(header: int, compression: int, alpha: int, masks: tuple[int, ...] = MASKS) -> bytes:
    rows = bytes([*RED[::-1], alpha]) * SIDE * SIDE
    info = struct.pack(
        "<IiiHHIIiiII", header, SIDE, SIDE, 1, 32, compression, len(rows), 0, 0, 0, 0
    )
    told = struct.pack("<4I", *masks)
    info = info + told if header > 40 or compression else info
    info = info[:header].ljust(header, b"\0") if header > 40 else info
    if header == 40 and compression == BITFIELDS:
        info = info[:52]
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(info) + len(rows), 0, 0, 14 + len(info)) + info + rows
    )


@pytest.mark.parametrize(
    ("header", "compression", "has_alpha"),
    [
        (40, RAW_ROWS, False), (40, BITFIELDS, False), (40, ALPHA_BITFIELDS, True), (52, BITFIELDS, False),
        (56, RAW_ROWS, False), (56, BITFIELDS, True), (108, RAW_ROWS, True), (108, BITFIELDS, True),
        (124, RAW_ROWS, True), (124, BITFIELDS, True),
    ],
)  # fmt: skip
def test_alpha_of_a_bmp(tmp_path: Path, header: int, compression: int, has_alpha: bool) -> None:
    half = middle(tmp_path, bmp(header, compression, 128))
    assert close(half, (*RED, 128) if has_alpha else RED, 2)
    assert middle(tmp_path, bmp(header, compression, 255))[:3] == RED
    # Chromium shows a blank sheet here; all others show the picture.
    assert middle(tmp_path, bmp(header, compression, 0)) == RED
