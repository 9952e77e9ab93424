"""Count an animated picture's frames from its structure, without decoding any."""

from __future__ import annotations

import struct
from typing import BinaryIO, NoReturn

from image_cloud.errors import TooManyFrames
from image_cloud.picture import completeness as endings

MOST_PNG_FRAMES = 0x80000000


def check(file: BinaryIO, name: str, max_frames: int) -> None:
    """Refuse a picture of the format `name` that has more than `max_frames` frames."""
    counter = COUNTERS.get(name)
    if counter and counter(file, max_frames + 1) > max_frames:
        refuse(name, max_frames)


def refuse(name: str, max_frames: int) -> NoReturn:
    """Say that a picture of the format `name` has too many frames."""
    raise TooManyFrames(f"The {name} has more than {max_frames} frames.")


def _png_frames(file: BinaryIO, most: int) -> int:
    """Read an APNG's number of frames; its acTL chunk stands before the first IDAT."""
    at = 8
    for _ in range(most):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12 or head[4:8] == b"IDAT":
            break
        length, kind, frames = struct.unpack(">I4sI", head)
        if kind == b"acTL":
            # Like PIL and browsers: an impossible number means that there is no animation.
            return int(frames) if frames <= MOST_PNG_FRAMES else 1
        at += 12 + length
    return 1


def _webp_frames(file: BinaryIO, most: int) -> int:
    at, found = 12, 0
    for _ in range(most + 16):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        found += kind == b"ANMF"
        at += 8 + length + length % 2
    return found


COUNTERS = {"gif": endings.gif_images, "png": _png_frames, "webp": _webp_frames}
