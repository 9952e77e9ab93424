"""BMPs of every kind look as they do in Chromium 156; where numbers stand here, it was asked."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from image_cloud import errors
from image_cloud.resize.readers.bmp.runs import Runs
from tests.unit.pictures import close, pixel
from tests.unit.test_resize_like_browsers import AS_LINEAR, COLOUR, LINEAR, Colour, middle, shown

WIDTH, HEIGHT = 12, 100
BLACK, CLEAR = (0, 0, 0), (0, 0, 0, 0)
RAW, RUNS_8, RUNS_4, BITFIELDS, RUNS_24, ALPHA_BITFIELDS = 0, 1, 2, 3, 4, 6
COLOURS = [(40 * entry % 256, 255 - entry, 10 * entry % 256) for entry in range(200)]
PALETTE = b"".join(bytes([blue, green, red, 0]) for red, green, blue in COLOURS)


def bmp(
    rows: bytes,
    bits: int,
    compression: int = RAW,
    *,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    header: int = 40,
    height: int = HEIGHT,
    colours: int = 0,
    behind: bytes = b"",
) -> bytes:
    start = 14 + max(header, 40 + 4 * len(masks)) + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII", header, WIDTH, height, 1, bits, compression, len(rows), 0, 0, colours, 0
    )
    info = (info + struct.pack(f"<{len(masks)}I", *masks) + behind).ljust(header, b"\0")
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


def packed(numbers: list[int], bits: int) -> bytes:
    """Return one row of numbers."""
    text = "".join(f"{number:0{bits}b}" for number in numbers)
    row = int(text.ljust(-(-len(text) // 32) * 32, "0"), 2)
    return row.to_bytes(-(-len(text) // 32) * 4, "big")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("top_down", [False, True])
def test_numbered_colours(tmp_path: Path, bits: int, top_down: bool) -> None:
    numbers = [place % (1 << bits) for place in range(WIDTH)]
    last = packed([1] * WIDTH, bits)
    rows = packed(numbers, bits) * (HEIGHT - 1) + last
    palette = PALETTE[: 4 << bits]
    image = shown(
        tmp_path, bmp(rows, bits, palette=palette, height=-HEIGHT if top_down else HEIGHT)
    )
    seen = [pixel(image, place, HEIGHT // 2) for place in range(WIDTH)]
    assert seen == [COLOURS[number] for number in numbers]
    assert pixel(image, 0, HEIGHT - 1 if top_down else 0) == COLOURS[1]


@pytest.mark.parametrize(("colours", "known"), [(0, 16), (2, 2), (16, 16), (100_000, 16)])
@pytest.mark.parametrize("entries", [16, 40])
def test_the_number_of_colours(tmp_path: Path, colours: int, known: int, entries: int) -> None:
    """What the palette lacks is black; the rows begin where the file says."""
    rows = packed([0, 1, 9] * 4, 4) * HEIGHT
    image = shown(tmp_path, bmp(rows, 4, palette=PALETTE[: 4 * entries], colours=colours))
    wanted = [*COLOURS[:2], COLOURS[9] if known > 9 else BLACK]
    assert [pixel(image, place, 9) for place in range(3)] == wanted


@pytest.mark.parametrize("start", [0, 20])
def test_rows_that_are_said_to_begin_in_the_header(tmp_path: Path, start: int) -> None:
    data = bytearray(bmp(packed([0, 1] * 6, 4) * HEIGHT, 4, palette=PALETTE[:64]))
    data[10:14] = struct.pack("<I", start)
    image = shown(tmp_path, bytes(data))
    assert [pixel(image, place, 9) for place in range(2)] == COLOURS[:2]


# --- runs ----------------------------------------------------------------------------------------


def literal(numbers: bytes, count: int) -> bytes:
    return bytes([0, count]) + numbers + bytes(len(numbers) % 2)


ROW = [3] * 5 + [7] * 7
ROWS = {
    (RUNS_8, "runs"): bytes([5, 3, 7, 7]),
    (RUNS_8, "too long a run"): bytes([5, 3, 70, 7]),
    (RUNS_8, "numbers"): literal(bytes(ROW), 12),
    (RUNS_8, "too many numbers"): literal(bytes(ROW + [9] * 5), 17),
    (RUNS_8, "an odd number of them"): literal(bytes(ROW[:5]), 5) + bytes([7, 7]),
    (RUNS_4, "runs"): bytes([5, 0x33, 7, 0x77]),
    (RUNS_4, "too long a run"): bytes([5, 0x33, 70, 0x77]),
    (RUNS_4, "numbers"): literal(bytes([0x33, 0x33, 0x37, 0x77, 0x77, 0x77]), 12),
    (RUNS_4, "an odd number of them"): literal(b"\x33\x33\x30", 5) + bytes([7, 0x77]),
}


@pytest.mark.parametrize(("compression", "kind"), ROWS)
@pytest.mark.parametrize("end", [b"\0\1", b""])
def test_runs(tmp_path: Path, compression: int, kind: str, end: bytes) -> None:
    bits = {RUNS_8: 8, RUNS_4: 4}[compression]
    rows = (ROWS[compression, kind] + b"\0\0") * HEIGHT + end
    image = shown(tmp_path, bmp(rows, bits, compression, palette=PALETTE[:64], colours=16))
    seen = [pixel(image, place, HEIGHT - 1) for place in range(WIDTH)]
    assert seen == [COLOURS[number] for number in ROW]


def test_runs_of_alternating_colours(tmp_path: Path) -> None:
    rows = bytes([12, 0x12, 0, 0]) * HEIGHT
    image = shown(tmp_path, bmp(rows, 4, RUNS_4, palette=PALETTE[:64]))
    assert [pixel(image, place, 0) for place in range(3)] == [COLOURS[1], COLOURS[2], COLOURS[1]]


def test_runs_of_whole_colours(tmp_path: Path) -> None:
    rows = bytes([5, 30, 20, 10, 7, 3, 2, 1, 0, 0]) * HEIGHT
    image = shown(tmp_path, bmp(rows, 24, RUNS_24, header=64))
    assert (pixel(image, 4, 9), pixel(image, 5, 9)) == ((10, 20, 30), (1, 2, 3))


def test_what_runs_skip_is_black(tmp_path: Path) -> None:
    """One run, then two pixels to the right and one row up; then the end."""
    rows = bytes([4, 3, 0, 2, 2, 1, 4, 7, 0, 0, 1, 5, 0, 1])
    image = shown(tmp_path, bmp(rows, 8, RUNS_8, palette=PALETTE[:64], colours=16))
    rows_seen = {0: [BLACK] * 12, HEIGHT - 1: [COLOURS[3]] * 4 + [BLACK] * 8}
    rows_seen[HEIGHT - 2] = [BLACK] * 6 + [COLOURS[7]] * 4 + [BLACK] * 2
    rows_seen[HEIGHT - 3] = [COLOURS[5]] + [BLACK] * 11
    for row, wanted in rows_seen.items():
        assert [pixel(image, place, row) for place in range(WIDTH)] == wanted


@pytest.mark.parametrize("moves", [bytes([0, 2, 200, 0]), bytes([0, 2, 0, 200])])
def test_moves_beyond_the_picture(tmp_path: Path, moves: bytes) -> None:
    rows = bytes([12, 3, 0, 0]) + moves + bytes([9, 9, 0, 1])
    image = shown(tmp_path, bmp(rows, 8, RUNS_8, palette=PALETTE[:64], colours=16))
    assert (pixel(image, 5, HEIGHT - 1), pixel(image, 5, 5)) == (COLOURS[3], BLACK)


@pytest.mark.parametrize(("bits", "compression"), [(8, RUNS_4), (4, RUNS_8), (8, RUNS_24), (8, 9)])
def test_unknown_compressions(tmp_path: Path, bits: int, compression: int) -> None:
    with pytest.raises(errors.CorruptImage):
        shown(tmp_path, bmp(bytes([12, 3, 0, 0]) * HEIGHT, bits, compression, palette=PALETTE))


def test_hostile_runs_are_bounded_by_their_row() -> None:
    runs = Runs(b"\xff\1" * 100_000, (3, 2), 8, blank=0)
    runs.unpack()
    assert (bytes(runs.pixels), runs.drawn) == (b"\1\1\1\0\0\0", 3)


# --- colours in fields of bits -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, (0x7C00, 0x3E0, 0x1F)), (16, (0xF800, 0x7E0, 0x1F)), (16, (0xF00, 0xF0, 0xF)),
        (16, (0x1F, 0x7E0, 0xF800)), (16, (0xE0, 0x1C, 0x3)), (16, (0xF000, 0xF00, 0xF0, 0xF)),
        (32, (0xFF0000, 0xFF00, 0xFF)), (32, (0xFF, 0xFF00, 0xFF0000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)), (32, (0x3FF00000, 0xFFC00, 0x3FF)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)), (32, (0xFF00, 0xFF, 0xFF0000, 0xFF000000)),
        (32, (0xFF0000, 0xFF00, 0xFF, 0xF000000)), (32, (0xFFF0000, 0xF000, 0xFFF)),
    ],
)  # fmt: skip
def test_colours_in_fields(tmp_path: Path, bits: int, masks: tuple[int, ...]) -> None:
    """All of a field's bits are its full brightness, none of them none."""
    alpha = masks[3] if len(masks) == 4 else 0
    values = [0 | alpha, masks[0] | alpha, masks[1] | alpha, masks[2] | alpha]
    form = "<4H" if bits == 16 else "<4I"
    rows = struct.pack(form, *values) * (WIDTH // 4) * HEIGHT
    kinds = [(40, ALPHA_BITFIELDS), (56, BITFIELDS), (108, BITFIELDS), (124, ALPHA_BITFIELDS)]
    for header, compression in kinds if alpha else [(40, BITFIELDS), (52, BITFIELDS)]:
        data = bmp(rows, bits, compression, masks=masks, header=header)
        seen = [pixel(shown(tmp_path, data), place, 50) for place in range(4)]
        wanted = [BLACK, (255, 0, 0), (0, 255, 0), (0, 0, 255)]
        assert [one[:3] for one in seen] == wanted
        assert not alpha or seen == [(*one, 255) for one in wanted] or seen == wanted


def test_the_middle_of_a_field(tmp_path: Path) -> None:
    """Three bits, two bits, and none at all."""
    rows = struct.pack("<H", 3 << 5 | 1 << 3) * WIDTH * HEIGHT
    data = bmp(rows, 16, BITFIELDS, masks=(0xE0, 0x18, 0))
    assert close(middle(tmp_path, data), (109, 85, 0), 1)


@pytest.mark.parametrize("alpha", [0, 1])
def test_one_bit_of_alpha(tmp_path: Path, alpha: int) -> None:
    rows = struct.pack("<2H", 0x8000, alpha << 15 | 0x7C00) * (WIDTH // 2) * HEIGHT
    data = bmp(rows, 16, BITFIELDS, masks=(0x7C00, 0x3E0, 0x1F, 0x8000), header=56)
    image = shown(tmp_path, data).convert("RGBA")
    assert pixel(image, 0, 9) == (0, 0, 0, 255)
    assert pixel(image, 1, 9) == ((255, 0, 0, 255) if alpha else CLEAR)


def test_a_field_with_gaps(tmp_path: Path) -> None:
    with pytest.raises(errors.CorruptImage):
        shown(tmp_path, bmp(bytes(4 * WIDTH * HEIGHT), 32, BITFIELDS, masks=(0xF0F000, 0xF00, 0xF)))


# --- the end of the file, and profiles -----------------------------------------------------------

ROWS_24 = bytes(COLOUR[::-1]) * WIDTH * HEIGHT


@pytest.mark.parametrize("missing", [1, 3, 36, 72])
def test_the_last_rows_may_be_missing(tmp_path: Path, missing: int) -> None:
    """They are the upper ones of most files."""
    for height, row in ((HEIGHT, 0), (-HEIGHT, HEIGHT - 1)):
        image = shown(tmp_path, bmp(ROWS_24[:-missing], 24, height=height))
        assert pixel(image, WIDTH - 1, row) == CLEAR
        assert pixel(image, 0, HEIGHT // 2) == (*COLOUR, 255)


def test_more_rows_may_not_be_missing(tmp_path: Path) -> None:
    runs = bytes([12, 3, 0, 0]) * HEIGHT
    for data in (
        bmp(ROWS_24[:-100], 24),
        bmp(ROWS_24[:-100], 24)[:40],
        bmp(b"", 24),
        bmp(runs[:-12], 8, RUNS_8, palette=PALETTE),
    ):
        with pytest.raises(errors.TruncatedImage):
            shown(tmp_path, data)


def test_the_padding_of_the_last_row_may_be_missing(tmp_path: Path) -> None:
    rows = packed([1] * WIDTH, 4) * HEIGHT
    image = shown(tmp_path, bmp(rows[:-2], 4, palette=PALETTE[:64]))
    assert pixel(image, WIDTH - 1, 0) == COLOURS[1]


def test_a_profile_within_the_file(tmp_path: Path) -> None:
    """The space it is told in, its place and its length; Windows' own names mean sRGB."""

    def data(space: bytes, length: int) -> bytes:
        place = struct.pack("<II", 124 + len(ROWS_24), length)
        behind = bytes(16) + space + bytes(52) + place
        return bmp(ROWS_24, 24, header=124, behind=behind) + LINEAR

    for space, length, seen in (
        (b"DEBM", len(LINEAR), AS_LINEAR),
        (b"DEBM", 200, COLOUR),
        (b"DEBM", 0, COLOUR),
        (b"BGRs", len(LINEAR), COLOUR),
        (b" niW", len(LINEAR), COLOUR),
    ):
        assert close(middle(tmp_path, data(space, length)), seen, 2)


def test_grey_stays_grey(tmp_path: Path) -> None:
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(0, 256, 17))
    data = bmp(packed([1, 2] * 6, 4) * HEIGHT, 4, palette=palette)
    image = shown(tmp_path, data)
    seen: list[Colour] = [pixel(image, place, 3) for place in (0, 1)]
    assert (image.mode, seen) == ("L", [(17,), (34,)])
