"""The first frame of a WebP, decoded from a file of nothing but that frame."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

from PIL import Image, WebPImagePlugin

from image_cloud.config.sections import Resize
from image_cloud.errors import TruncatedImage
from image_cloud.picture.malformed import CutOff
from image_cloud.picture.structure import webp
from image_cloud.picture.structure.data import Data, Size
from image_cloud.picture.structure.webp import Chunk
from image_cloud.resize import bounds
from image_cloud.resize.readers import exif
from image_cloud.resize.readers.frame import Frame, on_canvas

ALPHA_FLAG = 0x10
FRAME_HEADER_BYTES = 16


class _Still(NamedTuple):
    """A lossy or lossless picture, and the alpha that stands beside a lossy one."""

    chunk: Chunk
    alpha: Chunk | None


def read(data: Data, limits: Resize) -> Frame:
    """Return the first frame; an animation's on its canvas, which is transparent."""
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
    image = _first_frame(data, found, limits)
    turn = exif.orientation(_body(data, found.get(b"EXIF")))
    return Frame(image, turn, _body(data, found.get(b"ICCP")))


def _first_frame(data: Data, found: dict[bytes, Chunk], limits: Resize) -> Image.Image:
    frame, header = found.get(b"ANMF"), found.get(b"VP8X")
    if frame is None:
        return _decoded(data, _still(found), limits)
    start = frame.start + FRAME_HEADER_BYTES
    parts = {chunk.kind: chunk for chunk in webp.chunks(data, start, frame.end)}
    left, top = (2 * int.from_bytes(data[at : at + 3], "little") for at in _places(frame))
    canvas = webp.canvas_size(data, header) if header else (0, 0)
    image = _decoded(data, _still(parts), limits)
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


def _decoded(data: Data, still: _Still, limits: Resize) -> Image.Image:
    size = webp.still_size(data, still.chunk)
    bounds.check_size(size, "webp", limits)
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(_file(data, still, size)))
    image.load()
    return image


def _file(data: Data, still: _Still, size: Size) -> bytes:
    """Return a file of one picture and its alpha."""
    parts = [_chunk(still.chunk.kind, _body(data, still.chunk))]
    if still.alpha:
        sides = ((side - 1).to_bytes(3, "little") for side in size)
        header = struct.pack("<I", ALPHA_FLAG) + b"".join(sides)
        parts = [_chunk(b"VP8X", header), _chunk(b"ALPH", _body(data, still.alpha)), *parts]
    body = b"".join([b"WEBP", *parts])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _body(data: Data, chunk: Chunk | None) -> bytes:
    return data[chunk.start : chunk.end] if chunk else b""


def _truncated() -> TruncatedImage:
    return TruncatedImage("The webp ends before the picture does.")
