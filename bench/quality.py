"""Bytes of the outputs, and their PSNR against a full-quality reference: nobody wins by being worse."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from image_cloud.resize.heif import codecs


def measure(originals: Sequence[Path], outputs: Path) -> dict[str, float]:
    """Compare `outputs`/<number>.jpg with `originals`; return mean PSNR (dB) and bytes."""
    codecs.load()  # reads AVIF
    values, sizes = [], []
    for number, original in enumerate(originals):
        path = outputs / f"{number}.jpg"
        with Image.open(path) as made, Image.open(original) as full:
            small = made.convert("RGB")
            reference = full.convert("RGB").resize(small.size, Image.Resampling.LANCZOS)
        values.append(psnr_db(small, reference))
        sizes.append(path.stat().st_size)
    return {"psnr_db": statistics.mean(values), "bytes": statistics.mean(sizes)}


def psnr_db(one: Image.Image, other: Image.Image) -> float:
    """Return how alike two RGB pictures of one size are; 99 for the same."""
    squares = sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2)
    mean = squares / (one.width * one.height * 3)
    return 10 * math.log10(255**2 / mean) if mean else 99.0
