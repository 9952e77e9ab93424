"""Limits of one picture: pixels by its header, and memory before the decoder allocates it."""

from __future__ import annotations

import mmap

from image_cloud.config.sections import Resize
from image_cloud.errors import TooManyFrames, TooManyPixels, TooMuchMemory

NEEDED_BYTES = {
    "jpeg2000": (20, 2 << 20), "avif": (8, 0), "heic": (8, 12 << 20), "tiff": (4, 1 << 20),
}  # fmt: skip
"""What a pixel takes at least, and what comes on top (such as the stack of libde265's thread, and a tile).

Of formats whose decoders call the picture broken where they get no memory, or crash; measured by
tests/corpus/starved.py.
"""


def check_size(size: tuple[int, int], name: str, limits: Resize) -> None:
    """Refuse a picture of the format `name` that takes more pixels or memory than there may be."""
    check_pixels(size, limits)
    if name in NEEDED_BYTES:
        pixel, more = NEEDED_BYTES[name]
        check_memory(size[0] * size[1] * pixel + more, f"Decoding the {name}")


def check_pixels(size: tuple[int, int], limits: Resize, scale: int = 1) -> None:
    """Refuse a picture of `size` that takes more pixels than `limits` allow, drawn at 1/`scale`."""
    wide, high = drawn_size(size, scale)
    if wide * high > limits.max_pixels:
        drawn = f", of which {wide} x {high} have to be decoded" if scale > 1 else ""
        raise TooManyPixels(
            f"The picture has {size[0]} x {size[1]} pixels{drawn}; {limits.max_pixels} are allowed."
        )


def check_frames(count: int, name: str, limits: Resize) -> None:
    """Refuse a picture of the format `name` that has more than the allowed frames."""
    if count > limits.max_frames:
        raise TooManyFrames(f"The {name} has more than {limits.max_frames} frames.")


def drawn_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return what libjpeg makes of a picture of `size` at 1/`scale`."""
    return -(-size[0] // scale), -(-size[1] // scale)


def check_memory(size_bytes: int, doing: str) -> None:
    """Refuse a picture if the next step, `doing`, needs `size_bytes` that this process cannot get."""
    try:
        mmap.mmap(-1, max(size_bytes, 1)).close()
    except OSError as error:
        megabytes = size_bytes // 10**6
        raise TooMuchMemory(f"{doing} takes {megabytes} MB; less is allowed.") from error
