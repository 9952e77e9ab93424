"""What the facts of a picture cost, beside its thumbnail, and in how many bits copies of it differ.

python -m bench.facts [PICTURES]
"""

from __future__ import annotations

import io
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from bench.pictures import make
from image_cloud.config.sections import Resize
from image_cloud.picture.variant import Recipe
from image_cloud.resize import facts, variants

SIDE = 200
COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "at half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "at 200 px": lambda image: image.resize((200, 200 * image.height // image.width)),
    "without 2 % at each edge": lambda image: _inner(image, 0.02),
    "without 10 % at each edge": lambda image: _inner(image, 0.1),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        names, _ = make(Path(folder), count, 0)
        contents = [(Path(folder) / name).read_bytes() for name in names]
    print_costs(contents)
    hashes = [dhash(content) for content in contents]
    for quality in (90, 50):
        print_bits(f"JPEG of quality {quality}", contents, hashes, lambda image: image, quality)
    for name, copy in COPIES.items():
        print_bits(f"JPEG {name}", contents, hashes, copy)
    others = [bits(one, other) for one, other in itertools.pairwise(hashes)]
    print(f"other pictures: {statistics.mean(others):.0f} bits, at least {min(others)}")


def print_costs(contents: list[bytes]) -> None:
    """Print the CPU time of a thumbnail and of facts."""
    recipe, settings = [Recipe(SIDE, SIDE)], Resize()
    small = cpu_ms(lambda content: list(variants(io.BytesIO(content), recipe, settings)), contents)
    whole = cpu_ms(lambda content: facts(io.BytesIO(content), settings), contents)
    print(f"{len(contents)} photos: thumbnail of {SIDE} px {small:.1f} ms, facts {whole:.1f} ms")


def cpu_ms(work: Callable[[bytes], object], contents: list[bytes]) -> float:
    """Return the CPU time of `work` for one of the pictures."""
    began = time.process_time()
    for content in contents:
        work(content)
    return 1000 * (time.process_time() - began) / len(contents)


def print_bits(
    name: str,
    contents: list[bytes],
    hashes: list[int],
    copy: Callable[[Image.Image], Image.Image],
    quality: int = 85,
) -> None:
    """Print in how many bits the copies differ."""
    found = [
        bits(known, dhash(saved(copy(Image.open(io.BytesIO(content)).convert("RGB")), quality)))
        for content, known in zip(contents, hashes, strict=True)
    ]
    within = sum(one <= 6 for one in found) / len(found)
    print(f"{name}: {statistics.mean(found):.1f} bits, at most {max(found)}; {within:.0%} within 6")


def saved(image: Image.Image, quality: int) -> bytes:
    """Return a picture as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def dhash(content: bytes) -> int:
    """Return the hash of a picture as a number."""
    return int(facts(io.BytesIO(content), Resize()).dhash, 16)


def bits(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()


def _inner(image: Image.Image, share: float) -> Image.Image:
    left, upper = int(image.width * share), int(image.height * share)
    return image.crop((left, upper, image.width - left, image.height - upper))


if __name__ == "__main__":
    main()
