"""Memory: of a node that has just been started, and of one that decodes the largest pictures that it takes.

Counted is what all processes but PostgreSQL's hold, shared pages divided among those that share them (PSS).  Nothing
else may run: what another stack shares would be divided by more.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from bench import procs
from bench.load import pull
from bench.systems import System
from tests.photos import photographs

SEED, MEGAPIXELS = 7, 50
KINDS = ("jpg", "jpg", "jpg", "png", "jpg", "jpg", "jpg", "webp")
"""Of the large pictures; every other JPEG is progressive."""
LOOK_EVERY_S = 0.05


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
        _enlarge(source, folder / name, progressive=bool(number % 2))
    return names


def _enlarge(source: Path, target: Path, *, progressive: bool) -> None:
    image = Image.open(source).convert("RGB")
    scale = (MEGAPIXELS * 1e6 / (image.width * image.height)) ** 0.5
    size = (int(image.width * scale), int(image.height * scale))
    options = {"progressive": progressive} if target.suffix == ".jpg" else {"compress_level": 1}
    large = image.resize(size, Image.Resampling.BILINEAR)
    large.save(target, quality=85, **options)


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "postgres"
    return False
