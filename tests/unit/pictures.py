"""Pictures made in tests, and what comes back from resizing them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

from image_cloud.config.sections import DECODABLE, Resize
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize

LIMITS = Resize(formats=DECODABLE)
RED, GREEN, BLUE, WHITE = (230, 30, 30), (20, 180, 40), (30, 40, 220), (255, 255, 255)
Colour = tuple[int, ...]


def quarters(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return a picture of four colours: red and green above, blue and white below."""
    width, height = size
    image = Image.new("RGB", size, WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def swapped_profile() -> bytes:
    """Return an sRGB profile with red and blue exchanged, so that its use cannot be missed."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    swapped = bytearray(profile)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(swapped)


def saved(folder: Path, image: Image.Image, format: str, **options: Any) -> Path:
    """Write a picture and return its path."""
    path = folder / f"picture.{format}"
    image.save(path, format, **options)
    return path


def variant(path: Path, width: int = 40, height: int = 0, **options: Any) -> Image.Image:
    """Resize a file and return the loaded result; PNG unless another format is asked for."""
    recipe = Recipe(width, height, **({"format": "png"} | options))
    return loaded(resize(path, recipe, LIMITS))


def loaded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def corners(image: Image.Image) -> list[Colour]:
    """Return the colours in the middles of the four quarters, row by row."""
    width, height = image.size
    return [pixel(image, width * x // 4, height * y // 4) for y in (1, 3) for x in (1, 3)]


def pixel(image: Image.Image, x: int, y: int) -> Colour:
    return as_tuple(image.getpixel((x, y)))


def as_tuple(pixel: Any) -> Colour:
    return pixel if isinstance(pixel, tuple) else (pixel,)


def close(one: Any, other: Any, within: int = 6) -> bool:
    """Tell whether two colours, or lists of colours, are about the same."""
    if isinstance(one, list):
        return len(one) == len(other) and all(
            close(*pair, within) for pair in zip(one, other, strict=True)
        )
    pairs = zip(as_tuple(one), as_tuple(other), strict=True)
    return all(abs(a - b) <= within for a, b in pairs)
