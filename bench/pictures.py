"""The pictures: crops of real photographs the size of product photos, a third of them progressive."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from PIL import Image

from tests.photos import photographs

SEED = 4
SIDES_PX = (1000, 1800)
LARGE_PIXELS = (10_000_000, 15_000_000)


def products_in(folder: Path, cache: Path, count: int) -> list[str]:
    """Copy `count` product photos into the new `folder`; return their names.  `cache` keeps what was made."""
    kept = cache / f"pictures-{count}"
    names, _ = make(kept, count, 0)
    shutil.copytree(kept, folder)
    return names


def make(folder: Path, products: int, large: int) -> tuple[list[str], list[str]]:
    """Write the pictures, unless they are there; return the names of products and large ones."""
    names = [f"p{number:03d}.jpg" for number in range(products)]
    large_names = [f"large{number}.jpg" for number in range(large)]
    if not all((folder / name).exists() for name in names + large_names):
        folder.mkdir(parents=True, exist_ok=True)
        choice = random.Random(SEED)
        sources = [path for path in photographs() if _is_large(path)]
        for number, name in enumerate(names):
            _crop(choice, sources[number % len(sources)], folder / name, number % 3 == 0)
        for number, name in enumerate(large_names):
            _enlarge(sources[number * 7 % len(sources)], folder / name, choice)
    return names, large_names


def _is_large(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= SIDES_PX[1]


def _crop(choice: random.Random, source: Path, target: Path, progressive: bool) -> None:
    image = Image.open(source).convert("RGB")
    width, height = (choice.randint(*SIDES_PX) for _ in range(2))
    left, upper = choice.randint(0, image.width - width), choice.randint(0, image.height - height)
    image.crop((left, upper, left + width, upper + height)).save(
        target,
        quality=choice.choice((85, 90, 92)),
        subsampling=choice.choice((0, 2)),
        progressive=progressive,
    )


def _enlarge(source: Path, target: Path, choice: random.Random) -> None:
    """Write a progressive picture of 10 to 15 megapixels."""
    image = Image.open(source).convert("RGB")
    scale = (choice.randint(*LARGE_PIXELS) / (image.width * image.height)) ** 0.5
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.BICUBIC).save(target, quality=90, progressive=True)
