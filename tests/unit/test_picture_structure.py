"""What a file's structure says, without decoding: how large the picture is, whether the file is all there."""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from image_cloud.picture.formats import FORMATS
from image_cloud.picture.malformed import Malformed
from image_cloud.picture.structure import gif, is_whole, jpeg, png, size_of, webp
from image_cloud.picture.structure.look import ENDINGS, SIZES
from tests.unit.test_formats import PIL_NAMES, picture

SIZE = (64, 48)


def whole(data: bytes, name: str) -> bool:
    return is_whole(io.BytesIO(data), name)


def size(data: bytes, name: str) -> tuple[int, int] | None:
    return size_of(io.BytesIO(data), name)


@pytest.mark.parametrize("name", PIL_NAMES)
def test_size_of_a_picture_by_its_header(name: str) -> None:
    data = picture(name)
    with Image.open(io.BytesIO(data)) as image:
        assert size(data, name) == image.size
        assert size(data[: len(data) // 2], name) in (image.size, None)


def test_a_file_is_looked_at_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    for data in (picture("jpeg"), picture("jpeg")[:-9], b""):
        path.write_bytes(data)
        with path.open("rb") as file:
            assert (size_of(file, "jpeg"), is_whole(file, "jpeg")) == (
                size(data, "jpeg"),
                whole(data, "jpeg"),
            )


@pytest.mark.parametrize("name", PIL_NAMES)
def test_a_whole_file_is_whole_and_half_of_it_is_not(name: str) -> None:
    data = picture(name)
    assert whole(data, name)
    half = data[: len(data) // 2]
    # PIL writes a TIFF's directory first, so that its end is known to the decoder alone.
    assert whole(half, name) == (name == "tiff")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_anywhere_is_not_whole(options: dict[str, bool]) -> None:
    data = picture("jpeg", **options)
    assert not [cut for cut in range(3, len(data) - 1) if whole(data[:cut], "jpeg")]


def test_an_exif_thumbnails_end_is_not_the_pictures() -> None:
    exif = b"Exif\0\0" + picture("jpeg")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = b"\xff\xd8" + segment + picture("jpeg")[2:]
    assert whole(data, "jpeg")
    assert not whole(data[: 2 + len(segment)], "jpeg")
    assert not whole(data[:-2], "jpeg")


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "bmp"])
def test_garbage_behind_the_end_does_not_matter(name: str) -> None:
    assert whole(picture(name) + b"\r\n<!-- cached -->" * 100_000, name)


def test_a_gif_without_trailer_is_whole_between_blocks_only() -> None:
    data = picture("gif")
    assert data.endswith(b"\0;")
    assert whole(data[:-1], "gif")
    assert not whole(data[:-2], "gif")


def test_frames_of_a_gif_are_counted_without_decoding() -> None:
    frames = [Image.new("L", (8, 8), value) for value in range(0, 250, 10)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    assert gif.count_images(target.getvalue(), 100) == len(frames)
    assert gif.count_images(target.getvalue(), 3) == 3


# --- lengths that are wrong ----------------------------------------------------------------------

WRONG_LENGTHS = (0, 1, 3, 7, 40, 5000, 0xFFF0)


@pytest.mark.parametrize("length", WRONG_LENGTHS)
@pytest.mark.parametrize("marker", [0xE1, 0xEC, 0xF3, 0xFE, 0x02])
def test_a_wrong_length_of_a_segment_hides_nothing(marker: int, length: int) -> None:
    data = picture("jpeg")
    segment = bytes([0xFF, marker]) + struct.pack(">H", length) + b"ten bytes."
    needed = [one for one in kinds(jpeg.segments(data)) if one in jpeg.NEEDED]
    found = kinds(jpeg.segments(data[:2] + segment + data[2:]))
    assert [one for one in found if one in jpeg.NEEDED] == needed


@pytest.mark.parametrize("length", WRONG_LENGTHS)
def test_a_wrong_length_makes_no_picture_of_a_thumbnail(length: int) -> None:
    data = picture("jpeg")
    thumbnail = data.replace(b"\0\x30\0\x40", b"\0\x03\0\x04")
    head = data[:2] + b"\xff\xe1" + struct.pack(">H", length) + b"Exif\0\0" + thumbnail
    assert size(head + data[2:], "jpeg") == SIZE
    assert not whole(head + data[2:100], "jpeg")


@pytest.mark.parametrize("length", WRONG_LENGTHS)
@pytest.mark.parametrize("kind", [b"tEXt", b"vpAg", b"ABCD"])
def test_a_wrong_length_of_a_chunk_hides_nothing(kind: bytes, length: int) -> None:
    data = picture("png")
    chunk = struct.pack(">I", length) + kind + b"ten bytes." + bytes(4)
    for at in (8, 33, len(data) - 12):
        found = kinds(png.chunks(data[:at] + chunk + data[at:]))
        assert [one for one in found if one != kind] == kinds(png.chunks(data))


@pytest.mark.parametrize("length", WRONG_LENGTHS)
@pytest.mark.parametrize("kind", [b"EXIF", b"XMP ", b"ABCD"])
def test_a_wrong_length_of_a_riff_chunk_hides_nothing(kind: bytes, length: int) -> None:
    data = picture("webp")
    chunk = kind + struct.pack("<I", length) + b"ten bytes."
    assert b"VP8 " in kinds(webp.chunks(data[:12] + chunk + data[12:]))


@pytest.mark.parametrize("length", [0, 1, 5, 9, 200, 255])
@pytest.mark.parametrize("label", [0x01, 0xF9, 0xFE, 0xFF])
def test_a_wrong_length_of_an_extension_hides_nothing(label: int, length: int) -> None:
    data = picture("gif")
    start = data.index(b",", 13 + 768)
    extension = bytes([0x21, label, length]) + b"ten bytes." + b"\0"
    found = kinds(gif.blocks(data[:start] + extension + data[start:]))
    assert found.count(gif.IMAGE) == 1
    assert gif.size_of(data[:start] + extension + data[start:]) == SIZE


def kinds(parts: Iterator[object]) -> list[object]:
    return [part[0] for part in parts]  # type: ignore[index]


# --- hostile bytes -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=80)
@given(data=st.data())
def test_any_bytes_have_a_structure_or_not(name: str, data: st.DataObject) -> None:
    some = data.draw(st.binary(max_size=200))
    whole(some, name)
    size(some, name)


@pytest.mark.parametrize("name", PIL_NAMES)
@settings(max_examples=80)
@given(data=st.data())
def test_damaged_files_have_a_structure_or_not(name: str, data: st.DataObject) -> None:
    damaged = bytearray(picture(name))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    some = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    whole(some, name)
    size(some, name)


class Counted(mmap.mmap):
    """Bytes that count how often they are read, and how many of them by slicing."""

    reads = 0
    sliced = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.reads += 1
        self.sliced += len(found) if isinstance(found, bytes) else 1
        return found


def counted(data: bytes) -> Counted:
    made = Counted(-1, len(data))
    made.write(data)
    return made


PNG_HEAD = b"\x89PNG\r\n\x1a\n"
ENDLESS = [
    ("jpeg", b"\xff\xd8", b"\xff"),
    ("jpeg", b"\xff\xd8", b"\xff\xe0\0\2"),
    ("jpeg", b"\xff\xd8", b"\xff\xe0\0\4ab\0"),
    ("jpeg", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\xdb\0\2"),
    ("jpeg", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\xdb\0\4\0\0"),
    ("jpeg", b"\xff\xd8\xff\xda\0\2", b"\xff\0"),
    ("jpeg", b"\xff\xd8", b"\xff\xda\0\2"),
    ("png", PNG_HEAD, b"\0\0\0\0teXt\0\0\0\0"),
    ("png", PNG_HEAD, b"IDAT"),
    ("png", PNG_HEAD, b"\0\x10\0\0IDAT"),
    ("png", PNG_HEAD, b"\0\0\0\1tEXtxx\0\0\0\0"),
    ("gif", b"GIF89a\1\0\1\0\0\0\0", b"!\xf9\0"),
    ("gif", b"GIF89a\1\0\1\0\0\0\0!\xf9", b"\1\1"),
    ("gif", b"GIF89a\1\0\1\0\0\0\0!\xf9", b"\xff"),
    ("gif", b"GIF89a\1\0\1\0\0\0\0", b"!\xfex\1"),
    ("gif", b"GIF89a\1\0\1\0\0\0\0", b"!\xfe\0x," + b"\1" * 300),
    ("gif", b"GIF89a\1\0\1\0\0\0\0", b",\0\0\0\0\1\0\1\0\0\2\0"),
    ("webp", b"RIFF\0\0\0\0WEBPVP8X", b"EXIF\0\0\0\0"),
    ("webp", b"RIFF\0\0\0\0WEBPVP8X", b"\0"),
    ("tiff", b"II*\0\x08\0\0\0\xff\xff", b"\xff\xff\4\0\1\0\0\0\1\0\0\0"),
    ("ico", b"\0\0\1\0\xff\xff", b"\0"),
    ("jpeg2000", b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x08free"),
]
MOST_READS = 150_000


@pytest.mark.parametrize(("name", "head", "rest"), ENDLESS)
def test_work_on_endless_small_parts_is_bounded(name: str, head: bytes, rest: bytes) -> None:
    """Three megabytes and six of them cost the same, and no more than a few reads of each byte."""
    spent = []
    for count_bytes in (3 << 20, 6 << 20):
        with counted(head + rest * (count_bytes // len(rest))) as data:
            for walk in (SIZES[name], ENDINGS[name]):
                with contextlib.suppress(Malformed, struct.error, LookupError):
                    walk(data)
            spent.append(data.reads)
            assert data.sliced < 10 * len(data)
    assert max(spent) < MOST_READS
    assert spent[1] < 1.1 * spent[0] + 100
