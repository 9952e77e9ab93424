"""Memory: of a node that has just been started, and of one that decodes the largest pictures that it takes.

python -m bench.memory [--settle 60] [--formats]

Counted is what all processes but PostgreSQL's hold, shared pages divided among those that share them (PSS).  Nothing
else may run: what another stack shares would be divided by more.  With --formats a process makes a thumbnail of
a picture of each format by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from bench import procs, systems
from bench.load import pull
from bench.systems import CACHE, System
from image_cloud.config.sections import DECODABLE, Resize
from image_cloud.picture.variant import Recipe
from image_cloud.process.memory import give_back
from image_cloud.resize import resize_all
from image_cloud.resize.heif import codecs
from tests.photos import photographs

SEED, MEGAPIXELS = 7, 50
KINDS = ("jpg", "jpg", "jpg", "png", "jpg", "jpg", "jpg", "webp")
"""Of the large pictures; every other JPEG is progressive."""
LOOK_EVERY_S = 0.05
PRIVATE = ("Private_Dirty:", "Private_Clean:")
RECIPES = (Recipe(200, 200), Recipe(250, 250))
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG, baseline": ("jpg", {"quality": 85}),
    "JPEG, progressive": ("jpg", {"quality": 85, "progressive": True}),
    "JPEG, progressive, 4:4:4": ("jpg", {"quality": 85, "progressive": True, "subsampling": 0}),
    "PNG": ("png", {"compress_level": 1}),
    "WebP": ("webp", {"quality": 80, "method": 0}),
    "WebP, lossless": ("webp", {"lossless": True, "method": 0, "quality": 0}),
    "GIF": ("gif", {}),
    "TIFF, LZW": ("tiff", {"compression": "tiff_lzw"}),
    "BMP, palette": ("bmp", {}),
    "AVIF": ("avif", {"quality": 50, "speed": 10}),
    "HEIC": ("heic", {"quality": 50}),
}
OF_PALETTES = ("GIF", "BMP, palette")


def rest(system: System, settle_s: float) -> float:
    """Return the megabytes that a system holds once it has been left alone for `settle_s`."""
    time.sleep(settle_s)
    return held_mb(system.pids())


def peak(system: System, urls: Sequence[str], side: int = 200) -> float:
    """Return the most megabytes that a system held while all `urls` were asked for at once."""
    with looked_at(system.pids) as most:
        pull([system.thumbnail(url, side) for url in urls], system.headers, parallel=len(urls))
    return most()


def held_mb(pids: Sequence[int]) -> float:
    """Return what these processes hold together, PostgreSQL's left out."""
    return procs.memory_mb(pid for pid in pids if not _is_postgres(pid))


@contextlib.contextmanager
def looked_at(pids: Callable[[], list[int]]) -> Iterator[Callable[[], float]]:
    """Look at the memory all the time; give what tells the most that was seen."""
    seen, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            seen.append(held_mb(pids()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        thread.join()


def pictures(folder: Path) -> list[str]:
    """Write pictures of hardly less than 50 megapixels, unless they are there; return their names."""
    names = [f"huge{number}.{kind}" for number, kind in enumerate(KINDS)]
    missing = [name for name in names if not (folder / name).exists()]
    folder.mkdir(parents=True, exist_ok=True)
    sources = random.Random(SEED).sample(photographs(), len(KINDS)) if missing else []
    for number, (name, source) in enumerate(zip(names, sources, strict=False)):
        options = (
            {"progressive": bool(number % 2)} if name.endswith(".jpg") else {"compress_level": 1}
        )
        _enlarged(source).save(folder / name, quality=85, **options)
    return names


def of_formats(folder: Path) -> dict[str, Path]:
    """Write the same picture in each format, unless it is there."""
    paths = {
        title: folder / f"format{number}.{FORMATS[title][0]}"
        for number, title in enumerate(FORMATS)
    }
    if all(path.exists() for path in paths.values()):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    codecs.load()
    large = _enlarged(random.Random(SEED).choice(photographs()))
    in_palette = large.quantize(256)
    for title, path in paths.items():
        image = in_palette if title in OF_PALETTES else large
        image.save(path, **FORMATS[title][1])
    return paths


def decoding(path: Path) -> tuple[float, float]:
    """Return the megabytes that a process takes at most for thumbnails of a picture, and the CPU seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, "{} {}".format(*_decoded(path)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        most_mb, cpu_s = answer.read().split()
    os.waitpid(child, 0)
    return float(most_mb), float(cpu_s)


def _decoded(path: Path) -> tuple[float, float]:
    give_back()  # what this process has only been handed down as free
    Path("/proc/self/clear_refs").write_text("5")
    before_mb, began_s = procs.status_mb("VmRSS"), time.process_time()
    resize_all(path, RECIPES, Resize(formats=DECODABLE))
    return procs.status_mb("VmHWM") - before_mb, time.process_time() - began_s


def _enlarged(source: Path) -> Image.Image:
    image = Image.open(source).convert("RGB")
    scale = (MEGAPIXELS * 1e6 / (image.width * image.height)) ** 0.5
    size = (int(image.width * scale), int(image.height * scale))
    return image.resize(size, Image.Resampling.BILINEAR)


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "postgres"
    return False


def print_formats() -> None:
    """Print what a picture of each format takes."""
    print("| 50 megapixels | file, MB | most, MB | CPU, s |\n|---|---|---|---|")
    paths = of_formats(CACHE / "huge")
    for path in paths.values():
        resize_all(path, RECIPES[:1], Resize(formats=DECODABLE))  # its code is loaded
    for title, path in paths.items():
        most_mb, cpu_s = decoding(path)
        print(f"| {title} | {path.stat().st_size / 1e6:.0f} | {most_mb:.0f} | {cpu_s:.2f} |")


def print_node(settle_s: float) -> None:
    """Print what a node holds, at rest by program, and at most."""
    from bench.__main__ import pool_pids

    with tempfile.TemporaryDirectory(prefix="image-cloud-") as name:
        work = Path(name)
        work.chmod(0o755)
        names = pictures(CACHE / "huge")
        for one in names:
            shutil.copyfile(CACHE / "huge" / one, work / one)
        with (
            systems.files(work, work) as (origin, _),
            systems.cloud(work / "home") as (system, stack),
        ):
            print(
                f"| at rest, MB | {rest(system, settle_s):.0f} | of which private |\n|---|---|---|"
            )
            programs = pool_pids(stack)
            programs["supervisord"] = sorted(set(system.pids()).difference(*programs.values()))
            for program, pids in programs.items():
                private_mb = procs.memory_mb(pids, PRIVATE)
                print(f"| {program} ({len(pids)}) | {held_mb(pids):.0f} | {private_mb:.0f} |")
            most_mb = peak(system, [f"{origin}/{name}" for name in names])
            print(f"| most, 8 pictures at once | {most_mb:.0f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.memory")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds after the start")
    parser.add_argument("--formats", action="store_true", help="one decoding of each format")
    arguments = parser.parse_args()
    if arguments.formats:
        print_formats()
    else:
        print_node(arguments.settle)


if __name__ == "__main__":
    main()
