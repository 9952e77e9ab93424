"""Pictures that are averaged down while they are read: the same pixels as of the whole, in less memory."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image_cloud.picture.variant import Recipe
from image_cloud.resize import averaging, colour, resize
from image_cloud.resize.heif import codecs
from image_cloud.resize.readers import read
from tests.corpus.reference import psnr_db, reference
from tests.unit.pictures import LIMITS, loaded, quarters

SIZE = (1210, 1803)  # several strips, and sides that no factor divides
SMALL = (901, 1205)
BY = (5, 7)
ENOUGH_DB = 36.0


def noise(bands: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return random pixels under a coarse pattern, so that every PNG filter comes up."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[bands]
    coarse = Image.frombytes(mode, (40, 40), os.urandom(1600 * bands)).resize(size)
    fine = Image.frombytes(mode, size, os.urandom(size[0] * size[1] * bands))
    return Image.blend(coarse, fine, 0.1)


def palette(alpha: bool) -> Image.Image:
    image = noise(3).quantize(100)
    if alpha:
        image.info["transparency"] = bytes([0, 100, 200] + [255] * 97)
    return image


def keyed(bands: int) -> Image.Image:
    image = noise(bands)
    image.info["transparency"] = image.getpixel((3, 3))
    return image


def with_an_alpha_that_hides_nothing() -> Image.Image:
    image = noise(3)
    image.putalpha(255)
    return image


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "bilevel": lambda: noise(1).convert("1"),
    "2 bits": lambda: noise(3).quantize(4),
    "grey": lambda: noise(1),
    "grey, 16 bits": lambda: noise(1).convert("I;16").point(lambda value: value * 257 + 0),
    "grey and alpha": lambda: noise(2),
    "palette": lambda: palette(alpha=False),
    "palette and alpha": lambda: palette(alpha=True),
    "colours": lambda: noise(3),
    "colours and alpha": lambda: noise(4),
    "a transparent grey": lambda: keyed(1),
    "a transparent colour": lambda: keyed(3),
    "an alpha that hides nothing": with_an_alpha_that_hides_nothing,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_strips_of_a_png_are_the_same_as_the_whole(kind: str) -> None:
    file = io.BytesIO()
    image = PICTURES[kind]()
    image.save(file, "PNG", compress_level=1, transparency=image.info.get("transparency"))
    whole = read(file, "png", LIMITS, lambda *_: averaging.WHOLE)
    assert whole.size is None
    expected = colour.expanded(whole.image, whole.depth, b"").reduce(BY)
    frame = read(file, "png", LIMITS, lambda *_: BY)
    assert (frame.size, frame.box) == (SIZE, (0, 0, SIZE[0] / BY[0], SIZE[1] / BY[1]))
    assert frame.image.mode == expected.mode
    assert frame.image.tobytes() == expected.tobytes()


@pytest.mark.parametrize("damage", ["checksum", "end", "middle"])
def test_a_damaged_png_is_read_as_before(damage: str) -> None:
    file = io.BytesIO()
    noise(3).save(file, "PNG", compress_level=1)
    data = bytearray(file.getvalue())
    if damage == "middle":
        at = len(data) * 99 // 100
        data[at : at + 400] = bytes(400)
    else:
        del data[-20 if damage == "checksum" else len(data) * 99 // 100 :]
    frame, whole = (
        read(io.BytesIO(data), "png", LIMITS, lambda *_, by=by: by) for by in (BY, averaging.WHOLE)
    )
    by = averaging.WHOLE if frame.box else BY
    image, _ = averaging.expanded(frame.image, by, 8, b"")
    expected, _ = averaging.expanded(whole.image, BY, 8, b"")
    assert (image.mode, image.tobytes()) == (expected.mode, expected.tobytes())


@pytest.mark.parametrize(
    ("bands", "options"),
    [
        (3, {"quality": 95}),
        (3, {"lossless": True}),
        (4, {"quality": 95}),
        (4, {"lossless": True, "exact": True}),
    ],
)
def test_a_webp_that_libwebp_draws_smaller(
    tmp_path: Path, bands: int, options: dict[str, Any]
) -> None:
    path, recipe = tmp_path / "a.webp", Recipe(100, 100, format="png")
    noise(bands, SMALL).save(path, "WEBP", method=0, **options)
    with path.open("rb") as file:
        frame = read(file, "webp", LIMITS, lambda *_: (3, 4))
    assert (frame.size, frame.image.size) == (SMALL, (301, 302))
    made = loaded(resize(path, recipe, LIMITS)).convert("RGBA")
    assert psnr_db(made, reference(path, recipe)) > ENOUGH_DB


LARGE = (4000, 4000)
LARGE_MB = LARGE[0] * LARGE[1] * 4 / 1e6
MEMORY: dict[str, tuple[float, dict[str, Any]]] = {
    "PNG": (0.35, {"compress_level": 1}),
    "WEBP": (0.3, {"method": 0}),
    "GIF": (0.7, {}),
    "TIFF": (1.4, {"compression": "tiff_lzw"}),
    "HEIF": (1.5, {"quality": 20}),
}
"""The share of a whole picture's memory that decoding one for a thumbnail may take."""


@pytest.mark.parametrize("format", MEMORY)
def test_memory_of_a_large_picture(tmp_path: Path, format: str) -> None:
    codecs.load()
    share, options = MEMORY[format]
    path = tmp_path / f"large.{format}"
    quarters(LARGE).save(path, format, **options)
    resize(path, Recipe(200, 200), LIMITS)  # its code is loaded
    assert peak_mb(path) < share * LARGE_MB


def peak_mb(path: Path) -> float:
    """Return how much more memory a child process holds at most while it makes a thumbnail."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            Path("/proc/self/clear_refs").write_text("5")
            before = held_mb("VmRSS")
            resize(path, Recipe(200, 200), LIMITS)
            os.write(writing, str(held_mb("VmHWM") - before).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return float(text)


def held_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1000
