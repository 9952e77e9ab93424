"""AVIF and WebP beside JPEG: the bytes, the time, and how much of a photo is left, by quality and by the encoder's speed.

    python -m bench.avif

The photos are those of Debian's wallpaper packages, at 400 px.  What is left is the structural similarity of the
grey pictures (Wang et al. 2004), over blocks of 8 x 8 pixels.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from PIL import Image, ImageMath

from bench.quality import psnr_db
from image_cloud.resize.encode import AVIF_SPEED, avif_quality
from image_cloud.resize.heif import codecs
from tests.photos import photographs

SIDE_PX, BLOCK_PX = 400, 8
QUALITIES = (30, 50, 60, 70, 80, 85, 90, 95)
SPEEDS = (6, 7, 8, 9)
SPEEDS_AT = 85
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def main() -> None:
    codecs.load()
    photos = [small(path) for path in photographs()]
    print(f"{len(photos)} photos of {SIDE_PX} px, one core\n")
    print("| format | quality | kB | CPU ms | similarity | PSNR dB |\n|---|---|---|---|---|---|")
    for quality in QUALITIES:
        row("jpeg", quality, photos, "JPEG", {"quality": quality, "optimize": True})
        row("webp", quality, photos, "WEBP", {"quality": quality})
        options = {"quality": avif_quality(quality), "max_threads": codecs.THREADS}
        speeds = SPEEDS if quality == SPEEDS_AT else [AVIF_SPEED]
        for speed in speeds:
            row(f"avif, speed {speed}", quality, photos, "AVIF", {**options, "speed": speed})


def small(path: Any) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
        colour = image.convert("RGB")
    colour.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    colour.info = {}  # no profile, no EXIF
    return colour


def row(
    name: str, quality: int, photos: Sequence[Image.Image], format: str, options: dict[str, Any]
) -> None:
    """Print what comes of writing the photos with these options."""
    started = time.process_time()
    files = [written(photo, format, options) for photo in photos]
    cpu_ms = (time.process_time() - started) / len(photos) * 1000
    made = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    pairs = list(zip(photos, made, strict=True))
    kilobytes = statistics.mean(map(len, files)) / 1000
    print(
        f"| {name} | {quality} | {kilobytes:.1f} | {cpu_ms:.1f} "
        f"| {mean(similarity(*pair) for pair in pairs):.4f} | {mean(psnr_db(*pair) for pair in pairs):.2f} |"
    )


def mean(values: Iterable[float]) -> float:
    return statistics.mean(values)


def written(photo: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    photo.save(target, format, **options)
    return target.getvalue()


def similarity(one: Image.Image, other: Image.Image) -> float:
    """Return the mean structural similarity of two pictures of one size, 1 for the same."""
    # JPEG's own blocks would flatter it: ours lie across them.
    a, b = (image.convert("L").convert("F").crop((4, 4, *image.size)) for image in (one, other))
    products = [product(a, a), product(b, b), product(a, b)]
    means = [image.reduce(BLOCK_PX) for image in (a, b, *products)]
    blocks = zip(*(image.get_flattened_data() for image in means), strict=True)
    return mean(of_block(*block) for block in blocks)


def product(one: Image.Image, other: Image.Image) -> Image.Image:
    return cast(
        Image.Image, ImageMath.lambda_eval(lambda part: part["a"] * part["b"], a=one, b=other)
    )


def of_block(a: float, b: float, aa: float, bb: float, ab: float) -> float:
    both = (2 * a * b + C1) * (2 * (ab - a * b) + C2)
    return both / ((a * a + b * b + C1) * (aa - a * a + bb - b * b + C2))


if __name__ == "__main__":
    main()
