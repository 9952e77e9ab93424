"""What AVIF and HEIC files show, read from their boxes; hostile bytes cost a bounded amount of work."""

from __future__ import annotations

import dataclasses
import io
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud import errors
from image_cloud.picture import heif
from image_cloud.picture.formats import FORMATS, HEAD_BYTES, describe, sniff
from image_cloud.picture.structure import is_whole, size_of
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from tests import heif_files as files
from tests.heif_files import Part, box, coded, full, short
from tests.unit.pictures import LIMITS, quarters

Errors = type[errors.ImageCloudError] | tuple[type[errors.ImageCloudError], ...]
NAMES = ["avif", "heic"]
MOST_CALLS = 1_000_000
"""Calls of functions within one walk: about a third of a second."""


def measured(data: bytes, name: str = "avif") -> tuple[int, int] | None:
    return size_of(io.BytesIO(data), name)


def complete(data: bytes, name: str = "avif") -> bool:
    return is_whole(io.BytesIO(data), name)


def shown(data: bytes) -> heif.Shown:
    return heif.read(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"avifmif1", "avif"), (b"avismsf1", "avif"), (b"mif1avif", "avif"), (b"heicmif1", "heic"),
        (b"heixmif1", "heic"), (b"hevcmsf1", "heic"), (b"heimmif1", "heic"), (b"heismif1", "heic"),
        (b"mif1heic", "heic"), (b"msf1hevc", "heic"), (b"mif1miaf", "heic"), (b"msf1", "heic"),
        (b"heicavif", "heic"), (b"avifheic", "avif"),
    ],
)  # fmt: skip
def test_brands(brands: bytes, name: str) -> None:
    data = files.heif([coded(quarters(), name)], brands=brands)
    assert sniff(data[:HEAD_BYTES]) == FORMATS[name]
    assert describe(data[:HEAD_BYTES]) == f"a {name} picture"


def test_videos_are_no_pictures() -> None:
    for brands in (b"isommp42", b"mp42", b"qt  ", b"M4V "):
        head = box(b"ftyp", brands[:4], bytes(4), brands)
        assert sniff(head) is None
        assert describe(head) == "a video"


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str) -> None:
    assert measured(files.encoded(quarters(), name), name) == (160, 120)
    turned = coded(quarters(), name, files.aperture(80, 60), files.rotation(1))
    assert measured(files.heif([turned], name), name) == (60, 80)
    assert measured(files.sequence([coded(quarters(), name)], name), name) == (160, 120)
    assert measured(b"nothing", name) is None


def test_a_grid_has_its_own_size() -> None:
    tile = coded(quarters(), "heic")
    whole = Part(
        b"grid", files.grid_of(2, 1, 300, 120), [files.size(300, 120)], [(b"dimg", [2, 2])]
    )
    found = shown(files.heif([whole, tile], "heic"))
    assert found.size == (300, 120)
    assert found.pixels == 300 * 120 + 2 * 160 * 120


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_complete_once_the_picture_is_there(name: str) -> None:
    picture, note = coded(quarters(), name), Part(b"Exif", bytes(50))
    data = files.heif([picture, note], name)
    assert complete(data, name)
    assert complete(data + b"more", name)
    assert complete(data[:-50], name)
    cuts = range(30, len(data) - 50)
    assert not [cut for cut in cuts if complete(data[:cut], name)]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_damage_raises_nothing_else(name: str, data: st.DataObject) -> None:
    whole = bytearray(files.heif([coded(quarters((64, 64)), name)], name))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    measured(cut, name)
    complete(cut, name)


# --- hostile -------------------------------------------------------------------------------------


def head_of(*boxes: bytes) -> bytes:
    return box(b"ftyp", b"avif", bytes(4), b"avifmif1") + full(b"meta", *boxes)


def grid_bomb(levels: int, tiles: int) -> bytes:
    """Grids of grids: few bytes, and more pixels to decode than any machine can."""
    parts = []
    for level in range(1, levels + 1):
        data = files.grid_of(tiles, 1, 64 * tiles, 64)
        parts.append(Part(b"grid", data, [files.size(64, 64)], [(b"dimg", [level + 1] * tiles)]))
    return files.heif([*parts, coded(quarters((64, 64)), "avif")])


def chain(length: int) -> list[Part]:
    return [
        Part(b"grid", b"", [files.size(9, 9)], [(b"dimg", [number + 2])])
        for number in range(length)
    ]


def places(*entries: int, rest: bytes = b"") -> bytes:
    """Return an `iloc` box of 65,535 items whose offsets and lengths have no bytes."""
    return head_of(full(b"iloc", b"\0\0", *map(short, (65535, *entries)), rest))


ITEMS = [full(b"infe", short(number), bytes(2), b"av01\0", version=2) for number in range(65535)]
HOSTILE = {
    "small boxes": box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 1_000_000,
    "small boxes in the headers": head_of(box(b"free") * 1_000_000),
    "small properties": head_of(box(b"iprp", box(b"ipco", box(b"free") * 1_000_000))),
    "associations": head_of(
        box(b"iprp", full(b"ipma", b"\xff" * 4, b"\0\1\0" * 4_000_000)),
    ),
    "items": head_of(full(b"iinf", short(65535), *ITEMS)),
    "places": places(1, 0, 65535, rest=bytes(9_000_000)),
    "empty places": places(rest=b"\0\1\0\0\xff\xff" * 65535),
    "references": head_of(full(b"iref", box(b"dimg", short(1), short(65535), bytes(131_070)) * 60)),
    "nested boxes": box(b"ftyp", b"avis", bytes(4)) + box(b"moov", b"\0\0\0\x08mdia" * 1_000_000),
    "a long chain": files.heif(chain(8000)),
    "a circle": files.heif([Part(b"grid", b"", [files.size(9, 9)], [(b"dimg", [1] * 60_000)])]),
    "repeats itself": files.heif([Part(b"iden", b"", [files.size(9, 9)], [(b"dimg", [1])])]),
    "grids of grids": grid_bomb(40, 250),
    "huge headers": box(b"ftyp", b"avif", bytes(4)) + box(b"meta", bytes(20 << 20)),
}


def calls_in(function: Callable[[], object]) -> int:
    """Count the calls of functions, Python's and built-in ones."""
    count = 0

    def look(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_cost_little(tmp_path: Path, data: bytes) -> None:
    assert calls_in(lambda: complete(data)) < MOST_CALLS
    refused(tmp_path, data, (errors.UnusableImage, errors.ImageTooLarge))


def sequence_header(width: int, height: int) -> bytes:
    """Return an AV1 sequence header of a still picture, as far as its size."""
    bits = (
        "000" + "11" + "00000" + f"{15:04b}" * 2 + f"{width - 1:016b}{height - 1:016b}" + "0" * 30
    )
    body = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([1 << 3 | 2, len(body)]) + body


def test_the_bitstreams_own_size_counts(tmp_path: Path) -> None:
    part = coded(quarters((64, 64)), "avif")
    part.data = sequence_header(8000, 8000) + part.data
    refused(tmp_path, files.heif([part]), errors.TooManyPixels)
    part = coded(quarters((640, 640)), "heic")
    part.properties = [one for one in part.properties if one[4:8] != b"ispe"]
    part.properties.append(files.size(64, 64))
    refused(tmp_path, files.heif([part], "heic"), errors.UnusableImage)


def claiming(name: str, width: int, height: int) -> bytes:
    part = coded(quarters((64, 64)), name)
    part.properties = [files.size(width, height), *part.properties]
    return files.heif([part], name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("width", "height"), [(50_000, 50_000), (2**32 - 1, 2**32 - 1), (1, 2**31)]
)
def test_claims_of_too_many_pixels(tmp_path: Path, name: str, width: int, height: int) -> None:
    tracemalloc.start()
    refused(tmp_path, claiming(name, width, height), errors.TooManyPixels)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_a_grid_of_too_many_pixels(tmp_path: Path) -> None:
    refused(tmp_path, grid_bomb(4, 250), errors.TooManyPixels)
    whole = Part(
        b"grid",
        files.grid_of(200, 200, 2**16, 2**16),
        [files.size(2**16, 2**16)],
        [(b"dimg", [2] * 40_000)],
    )
    refused(tmp_path, files.heif([whole, coded(quarters(), "heic")], "heic"), errors.TooManyPixels)


def refused(folder: Path, data: bytes, error: Errors) -> None:
    path = folder / "picture.bin"
    path.write_bytes(data)
    with pytest.raises(error):
        resize(path, Recipe(40, 40), LIMITS)


def test_the_same_bytes_again_and_again(tmp_path: Path) -> None:
    """Twenty megabytes, named by a thousand tiles."""
    numbers = list(range(2, 1002))
    whole = Part(
        b"grid", files.grid_of(100, 10, 6400, 640), [files.size(6400, 640)], [(b"dimg", numbers)]
    )
    tile = coded(quarters((64, 64)), "heic")
    tile.data += bytes(20 << 20)
    tiles = [
        dataclasses.replace(tile, data=tile.data if number == 2 else b"") for number in numbers
    ]
    data = bytearray(files.heif([whole, *tiles], "heic"))
    last = data.index(b"iinf") - 4  # behind the places
    extent = data[last - 16 * 999 - 8 : last - 16 * 999]
    for at in range(last - 16 * 998 - 8, last, 16):
        data[at : at + 8] = extent
    refused(tmp_path, bytes(data), errors.CorruptImage)


@pytest.mark.parametrize("name", NAMES)
def test_too_many_frames(tmp_path: Path, name: str) -> None:
    frame = coded(quarters((64, 64)), name)
    path = tmp_path / "picture.bin"
    path.write_bytes(files.sequence([frame] * 21, name))
    with pytest.raises(errors.TooManyFrames, match="20"):
        resize(path, Recipe(40, 40), dataclasses.replace(LIMITS, max_frames=20))
    assert resize(path, Recipe(40, 40), dataclasses.replace(LIMITS, max_frames=21))


@pytest.mark.parametrize("brands", [b"avifmif1miaf", b"heicmif1"])
def test_a_head_without_anything(tmp_path: Path, brands: bytes) -> None:
    data = box(b"ftyp", brands[:4], bytes(4), brands) + box(b"meta", bytes(200))
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    with pytest.raises(errors.CorruptImage, match=brands[:4].decode()):
        resize(path, Recipe(40, 40), LIMITS)
