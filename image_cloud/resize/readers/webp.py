"""The first frame of a WebP, decoded from a file of nothing but that frame."""

from __future__ import annotations

import struct
from typing import NamedTuple

from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import TruncatedImage
from image_cloud.picture.geometry import Size
from image_cloud.picture.malformed import CutOff
from image_cloud.picture.structure import webp
from image_cloud.picture.structure.webp import Chunk
from image_cloud.resize import averaging, bounds
from image_cloud.resize.averaging import Goal
from image_cloud.resize.readers import exif, libwebp
from image_cloud.resize.readers.frame import Frame, on_canvas

ALPHA_FLAG = 0x10
FRAME_HEADER_BYTES = 16
LOSSLESS_BYTES, ALPHA_BYTES = 4, 1
"""What libwebp keeps of each pixel, however small the picture is drawn."""
DRAWN_BYTES = 7
"""Of each pixel that it draws: three bands, and PIL's four."""


class _Still(NamedTuple):
    """A lossy or lossless picture, and the alpha that stands beside a lossy one."""

    chunk: Chunk
    alpha: Chunk | None


def read(data: bytes, limits: Resize, goal: Goal) -> Frame:
    """Return the first frame; an animation's on its canvas, which is transparent, others drawn smaller."""
    found: dict[bytes, Chunk] = {}
    frames = 0
    try:
        bounds.check_pixels(webp.size_of(data), limits)
        webp.find_end(data)
        for chunk in webp.chunks(data):
            found.setdefault(chunk.kind, chunk)
            frames += chunk.kind == b"ANMF"
    except CutOff:
        raise _truncated() from None
    bounds.check_frames(frames, "webp", limits)
    turn = exif.orientation(_body(data, found.get(b"EXIF")))
    icc = _body(data, found.get(b"ICCP"))
    if b"ANMF" in found:
        first = _first_frame(data, found[b"ANMF"], found.get(b"VP8X"), limits)
        return Frame(first, turn, icc, frames=frames)
    still = _still(found)
    size = Size(*webp.still_size(data, still.chunk))
    bounds.check_pixels(size, limits)
    scaled = averaging.reduced_size(size, goal(size, turn))
    image = _decoded(data, still, scaled, limits)
    return Frame(image, turn, icc, size=size, box=(0, 0, *scaled))


def _first_frame(data: bytes, frame: Chunk, header: Chunk | None, limits: Resize) -> Image.Image:
    start = frame.start + FRAME_HEADER_BYTES
    parts = {chunk.kind: chunk for chunk in webp.chunks(data, start, frame.end)}
    left, top = (2 * int.from_bytes(data[at : at + 3], "little") for at in _places(frame))
    canvas = webp.canvas_size(data, header) if header else (0, 0)
    image = _decoded(data, _still(parts), None, limits)
    canvas = max(canvas[0], left + image.width), max(canvas[1], top + image.height)
    bounds.check_pixels(canvas, limits)
    return on_canvas(image, canvas, (left, top))


def _places(frame: Chunk) -> tuple[int, int]:
    return frame.start, frame.start + 3


def _still(parts: dict[bytes, Chunk]) -> _Still:
    if b"VP8L" in parts and b"VP8 " not in parts:
        return _Still(parts[b"VP8L"], None)
    if b"VP8 " not in parts:
        raise _truncated()
    return _Still(parts[b"VP8 "], parts.get(b"ALPH"))


def _decoded(
    data: bytes, still: _Still, scaled: tuple[int, int] | None, limits: Resize
) -> Image.Image:
    """Return a picture, drawn as large as `scaled`; as large as it is where that is None."""
    size = webp.still_size(data, still.chunk)
    bounds.check_pixels(size, limits)
    target = scaled or size
    kept = LOSSLESS_BYTES if still.chunk.kind == b"VP8L" else ALPHA_BYTES if still.alpha else 0
    needed = size[0] * size[1] * kept + target[0] * target[1] * DRAWN_BYTES
    bounds.check_memory(needed, "Decoding the webp")
    if still.alpha:
        file = _file(data, still.alpha, still.chunk, size)
        return libwebp.decoded(file, 0, len(file), size, target)
    return libwebp.decoded(data, still.chunk.start, still.chunk.end, size, target)


def _file(data: bytes, alpha: Chunk, chunk: Chunk, size: tuple[int, int]) -> bytes:
    """Return a file of a lossy picture and its alpha."""
    sides = ((side - 1).to_bytes(3, "little") for side in size)
    header = struct.pack("<I", ALPHA_FLAG) + b"".join(sides)
    body = [*_chunk(b"VP8X", header), *_part(data, alpha), *_part(data, chunk)]
    length = sum(map(len, body))
    return b"".join([b"RIFF", struct.pack("<I", 4 + length), b"WEBP", *body])


def _part(data: bytes, chunk: Chunk) -> list[bytes | memoryview]:
    return _chunk(chunk.kind, memoryview(data)[chunk.start : chunk.end])


def _chunk(kind: bytes, body: bytes | memoryview) -> list[bytes | memoryview]:
    return [kind, struct.pack("<I", len(body)), body, b"\0" * (len(body) % 2)]


def _body(data: bytes, chunk: Chunk | None) -> bytes:
    return data[chunk.start : chunk.end] if chunk else b""


def _truncated() -> TruncatedImage:
    return TruncatedImage("The webp ends before the picture does.")
