"""Make the sample origin's pictures: evening landscapes, drawn by arithmetic (free of rights).

`python -m image_cloud.stack.sample_photos FOLDER`
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
SCENES: dict[str, tuple[int, tuple[int, int], Colour, Colour, Colour]] = {
    # name: seed, size, sky at the top, sky at the horizon, hills in the distance
    "dusk.jpg": (1, (1600, 1067), (35, 66, 120), (250, 190, 140), (120, 120, 160)),
    "desert.jpg": (2, (1440, 1080), (90, 140, 200), (250, 225, 190), (214, 160, 110)),
    "night.webp": (3, (1280, 853), (20, 30, 70), (240, 130, 110), (90, 80, 130)),
}


def make_all(folder: Path) -> None:
    """Write every sample picture into `folder`."""
    for name, scene in SCENES.items():
        picture = landscape(*scene)
        picture.save(folder / name, quality=90, progressive=name == "desert.jpg")
    badge(512).save(folder / "badge.png", optimize=True)


def landscape(
    seed: int, size: tuple[int, int], top: Colour, horizon: Colour, far: Colour
) -> Image.Image:
    """Draw a sky with a sun and five ranges of hills, each darker than the one behind it."""
    chance = random.Random(seed)  # noqa: S311
    width, height = size
    picture = _sky(size, top, horizon)
    _shine(picture, (chance.uniform(0.25, 0.75) * width, height * 0.5), height // 3)
    for layer in range(5):
        share = layer / 4
        colour = tuple(round(part * (1 - share) + part * 0.15 * share) for part in far)
        ridge = _ridge(chance, size, height * (0.5 + 0.11 * layer), height * (0.06 + 0.03 * layer))
        ImageDraw.Draw(picture).polygon([(0, height), *ridge, (width, height)], fill=colour)
    grain = Image.effect_noise(size, 12).convert("RGB")
    return ImageChops.overlay(picture.filter(ImageFilter.SMOOTH), grain)


def badge(side: int) -> Image.Image:
    """Draw a cloud on a disc, see-through around it."""
    scale = 2
    big = Image.new("RGBA", (side * scale, side * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(big)
    unit = side * scale / 100
    draw.ellipse([5 * unit, 5 * unit, 95 * unit, 95 * unit], fill=(52, 120, 190, 255))
    for x, y, radius in ((36, 56, 14), (52, 46, 18), (67, 57, 13)):
        box = [(x - radius) * unit, (y - radius) * unit, (x + radius) * unit, (y + radius) * unit]
        draw.ellipse(box, fill=(255, 255, 255, 255))
    draw.rectangle([36 * unit, 57 * unit, 67 * unit, 70 * unit], fill=(255, 255, 255, 255))
    return big.resize((side, side), Image.Resampling.LANCZOS)


def _sky(size: tuple[int, int], top: Colour, horizon: Colour) -> Image.Image:
    gradient = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, horizon), Image.new("RGB", size, top), gradient)


def _shine(picture: Image.Image, centre: tuple[float, float], radius: int) -> None:
    """Lay a sun with its glow over the sky."""
    glow = ImageChops.invert(Image.radial_gradient("L")).resize((2 * radius, 2 * radius))
    glow = glow.point(lambda value: min(255, int((value / 255) ** 4 * 340)))
    corner = (round(centre[0] - radius), round(centre[1] - radius))
    picture.paste(Image.new("RGB", glow.size, (255, 244, 214)), corner, glow)


def _ridge(
    chance: random.Random, size: tuple[int, int], base: float, swing: float
) -> list[tuple[float, float]]:
    waves = [
        (chance.uniform(0, math.tau), 2**n * chance.uniform(0.7, 1.3), 0.55**n) for n in range(7)
    ]
    return [
        (
            x,
            base
            - swing
            * sum(a * math.sin(start + f * x / size[0] * math.tau) for start, f, a in waves),
        )
        for x in range(0, size[0] + 4, 4)
    ]


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
