"""Too little memory: an error that says so, whichever library did not get it, and never a dead worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.heif_files import PIL_NAMES

ROOT = Path(__file__).parents[2]
SIZE = (1200, 900)
SOURCES: dict[str, dict[str, object]] = {
    "baseline.jpeg": {}, "progressive.jpeg": {"progressive": True, "subsampling": 0}, "rgb.png": {},
    "lossy.webp": {"method": 0}, "lossless.webp": {"lossless": True, "method": 0},
    "lzw.tiff": {"compression": "tiff_lzw"},
    "plain.gif": {}, "plain.bmp": {}, "plain.jpeg2000": {}, "plain.avif": {"speed": 10},
    "plain.heic": {"quality": 30}, "tiles.heic": {"quality": 30, "tile_size": 512},
}  # fmt: skip

MOST_S = 240.0
FINE_OR_NO_MEMORY = {"fine", "too_much_memory"}


def source(folder: Path, name: str) -> Path:
    format = name.rpartition(".")[2]
    image = Image.effect_mandelbrot((300, 225), (-2, -1.2, 1, 1.2), 90).convert("RGB").resize(SIZE)
    path = folder / name
    image.save(path, PIL_NAMES.get(format, format), **SOURCES[name])
    return path


def outcomes(format: str, width: int, *paths: Path) -> dict[str, set[str]]:
    """Return all that came of resizing each file with more and more memory."""
    command = [sys.executable, "-m", "tests.corpus.starved", format, str(width), *map(str, paths)]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=MOST_S
    )
    return {name: set(tries.values()) for name, tries in json.loads(done.stdout).items()}


def test_decoding(tmp_path: Path) -> None:
    found = outcomes("jpeg", 100, *(source(tmp_path, name) for name in SOURCES))
    for name in ("baseline.jpeg", "lossy.webp"):  # they take a few kilobytes
        assert found.pop(name) <= FINE_OR_NO_MEMORY
    assert found == dict.fromkeys(found, FINE_OR_NO_MEMORY)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_encoding(tmp_path: Path, format: str) -> None:
    found = outcomes(format, SIZE[0] - 50, source(tmp_path, "plain.bmp"))
    assert found == {"plain.bmp": FINE_OR_NO_MEMORY}


def test_no_room_for_the_codecs_themselves() -> None:
    script = (
        "import resource; from image_cloud.resize.heif import codecs\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**22, used + 2**22))\n"
        "try: codecs.load()\n"
        "except Exception as error: print(error.code)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "too_much_memory"
