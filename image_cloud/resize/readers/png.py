"""The first frame of a PNG, drawn from its compressed rows alone."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import NamedTuple

from PIL import Image, ImageChops

from image_cloud.config.sections import Resize
from image_cloud.errors import CorruptImage, ImageCloudError, TruncatedImage
from image_cloud.picture.geometry import Size
from image_cloud.picture.structure import png
from image_cloud.picture.structure.data import Data
from image_cloud.resize import averaging, bounds, colour
from image_cloud.resize.averaging import Averaged, Factors, Goal
from image_cloud.resize.readers import exif, png_colour, png_rows
from image_cloud.resize.readers.drawing import Drawn, draw_all, filled
from image_cloud.resize.readers.frame import Frame, on_canvas

MODES = {
    (1, 0): ("1", "1"), (2, 0): ("L", "L;2"), (4, 0): ("L", "L;4"), (8, 0): ("L", "L"),
    (16, 0): ("I;16", "I;16B"), (8, 2): ("RGB", "RGB"), (16, 2): ("RGB", "RGB;16B"),
    (1, 3): ("P", "P;1"), (2, 3): ("P", "P;2"), (4, 3): ("P", "P;4"), (8, 3): ("P", "P"),
    (8, 4): ("LA", "LA"), (16, 4): ("RGBA", "LA;16B"), (8, 6): ("RGBA", "RGBA"),
    (16, 6): ("RGBA", "RGBA;16B"),
}  # fmt: skip
"""What PIL makes of a depth and a colour type, and what it calls them."""
GREY, RGB, PALETTE = 0, 2, 3
WITH_ALPHA = (4, 6)
LEAST_PIXELS = 2 * averaging.STRIP_PIXELS
"""Of what is read in strips: smaller pictures take a tenth longer that way."""
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
LOW_BYTES = "RGB;16L"
"""Takes the lower byte of what is stored with the higher one first."""
PALETTE_BYTES = 768
FRAME_BYTES = 26
MOST_FRAMES = 0x7FFFFFFF
ZLIB_HEADER_BYTES, STEP_BYTES = 2, 1 << 14
MOST_BYTES_PER_PIXEL = 8
ANYWHERE = frozenset({b"eXIf"})
"""Side chunks that count behind the pixels as well."""
SIDE = png_colour.KINDS | ANYWHERE | {b"tRNS", b"acTL"}


class _Header(NamedTuple):
    size: Size
    depth: int
    colour: int
    is_interlaced: bool


@dataclasses.dataclass
class _Parts:
    """What a file is made of, as far as it counts: each side chunk once, and only a sound one."""

    header: _Header | None = None
    palette: bytes = b""
    sides: dict[bytes, bytes] = dataclasses.field(default_factory=dict)
    pixels: list[memoryview] = dataclasses.field(default_factory=list)
    frames: int = 0
    is_frame: bool = False
    """Whether the pixels are an animation's first frame."""
    is_in_first_frame: bool = False
    frame: bytes = b""
    frame_pixels: list[memoryview] = dataclasses.field(default_factory=list)
    """The first frame that stands behind the pixels, and where it stands on the canvas."""


def read(data: Data, limits: Resize, goal: Goal) -> Frame:
    """Return the first frame that a browser shows; averaged down where its rows come in order and in full."""
    parts = _parts(data)
    if parts.header is None or not (parts.pixels or parts.frame_pixels):
        raise TruncatedImage("The png ends before the picture does.")
    bounds.check_pixels(parts.header.size, limits)
    bounds.check_frames(parts.frames, "png", limits)
    turn = exif.orientation(parts.sides.get(b"eXIf", b""))
    icc = png_colour.profile(parts.sides)
    image = _animated(parts)
    small = None if image else _averaged(parts, parts.header, goal(parts.header.size, turn))
    frames = parts.frames if _is_animation(parts) else 1
    if small:
        return Frame(
            small.image, turn, icc, size=parts.header.size, box=small.box, frames=frames,
            has_alpha=_has_alpha(parts, parts.header),
        )  # fmt: skip
    return Frame(image or _still(parts, parts.header, parts.pixels), turn, icc, frames=frames)


def _parts(data: Data) -> _Parts:
    parts, whole = _Parts(), memoryview(data)
    for chunk in png.chunks(data):
        body = whole[chunk.start : chunk.end]
        if chunk.kind == b"IHDR":
            parts.header = parts.header or _header(body)
        elif chunk.kind == b"PLTE":
            parts.palette = parts.palette or bytes(body)
        elif chunk.kind == b"IDAT":
            parts.pixels.append(body)
        elif chunk.kind == b"fdAT" and parts.is_in_first_frame:
            parts.frame_pixels.append(body[4:])
        elif chunk.kind == b"fcTL" and png.is_sound(data, chunk):
            _take_control(parts, bytes(body))
        elif chunk.kind in SIDE and png.is_sound(data, chunk):
            _take_side(parts, chunk.kind, bytes(body))
    return parts


def _take_side(parts: _Parts, kind: bytes, body: bytes) -> None:
    """Note a side chunk; most stand before the pixels or not at all, as browsers have it."""
    is_late = parts.pixels and kind not in ANYWHERE
    is_early = kind == b"tRNS" and _has_palette(parts) and not parts.palette
    if not is_late and not is_early:
        parts.sides.setdefault(kind, body)


def _take_control(parts: _Parts, body: bytes) -> None:
    """Note that a frame of an animation begins; without pixels before it the default picture is it."""
    parts.frames += 1
    parts.is_frame = parts.is_frame or not parts.pixels
    parts.is_in_first_frame = not parts.is_frame and not parts.frame_pixels
    if parts.is_in_first_frame:
        parts.frame = body


def _has_palette(parts: _Parts) -> bool:
    return parts.header is not None and parts.header.colour == PALETTE


def _header(body: memoryview) -> _Header:
    width, height, depth, colour, method, filters, interlace = struct.unpack_from(">IIBBBBB", body)
    if (depth, colour) not in MODES or method or filters or interlace > 1 or not width * height:
        raise CorruptImage("The png cannot be decoded.")
    return _Header(Size(width, height), depth, colour, bool(interlace))


def _averaged(parts: _Parts, header: _Header, by: Factors) -> Averaged | None:
    """Return the picture averaged down; None where that does not go, or not all of it is there."""
    bits = header.depth * SAMPLES[header.colour]
    is_small = header.size.width * header.size.height < LEAST_PIXELS
    if by == averaging.WHOLE or is_small or header.is_interlaced or bits not in png_rows.BITS:
        return None
    mode, rawmode = MODES[header.depth, header.colour]
    rows = averaging.rows_of_strip(header.size[0], by)
    strips = png_rows.strips(parts.pixels, header.size, bits, rows)
    plain = (
        _in_plain_colours(
            parts, header, Image.frombytes(mode, strip.size, strip.rows, "raw", rawmode)
        )
        for strip in strips
    )
    try:
        return averaging.averaged(plain, header.size, by)
    except png_rows.NotWhole:
        return None


def _is_animation(parts: _Parts) -> bool:
    return 0 < int.from_bytes(parts.sides.get(b"acTL", b"")[:4], "big") <= MOST_FRAMES


def _has_alpha(parts: _Parts, header: _Header) -> bool:
    if header.colour == PALETTE:
        return png_colour.has_alpha(parts.sides.get(b"tRNS", b""))
    return header.colour in WITH_ALPHA or bool(_key(parts, header))


# --- pictures ------------------------------------------------------------------------------------


def _animated(parts: _Parts) -> Image.Image | None:
    """Return the first frame where the default picture is none; None where that has to do."""
    assert parts.header
    if not _is_animation(parts) or not parts.frame_pixels or len(parts.frame) < FRAME_BYTES:
        return None
    width, height, left, top = struct.unpack_from(">IIII", parts.frame, 4)
    canvas = parts.header.size
    if not width * height or left + width > canvas[0] or top + height > canvas[1]:
        return None
    header = parts.header._replace(size=Size(width, height))
    try:
        image = _still(parts, header, parts.frame_pixels)
    except ImageCloudError:
        if parts.pixels:
            return None
        raise
    return on_canvas(image, canvas, (left, top))


def _still(parts: _Parts, header: _Header, pixels: list[memoryview]) -> Image.Image:
    """Return one picture as L, LA, RGB or RGBA."""
    stream = b"".join(pixels)
    mode, rawmode = MODES[header.depth, header.colour]
    is_hidden = None
    key = _key(parts, header)
    if len(key) == 3 and header.depth == 16:
        low = _drawn(stream, header, mode, LOW_BYTES).image
        is_hidden = _is_colour(low, [value & 0xFF for value in key])
    drawn = _drawn(stream, header, mode, rawmode)
    image = drawn.image
    if is_hidden:
        high = [value >> 8 for value in key]
        hidden = ImageChops.darker(is_hidden, _is_colour(image, high))
        image.putalpha(ImageChops.invert(hidden))
    else:
        image = _in_plain_colours(parts, header, image)
    return filled(image, drawn.missing, from_above=header.is_interlaced)


def _in_plain_colours(parts: _Parts, header: _Header, image: Image.Image) -> Image.Image:
    """Return a picture, or a part of it, as L, LA, RGB or RGBA."""
    if header.colour == PALETTE:
        image = png_colour.with_palette(image, parts.palette, parts.sides.get(b"tRNS", b""))
    elif key := _key(parts, header):
        image = png_colour.with_key(image, key, header.depth)
    return colour.plain(image, header.depth)


def _drawn(stream: bytes, header: _Header, mode: str, rawmode: str) -> Drawn:
    is_interlaced, (width, height) = header.is_interlaced, header.size
    most_bytes = 2 * (MOST_BYTES_PER_PIXEL * width + 1) * height

    def draw(canvas: Image.Image) -> None:
        try:
            canvas.frombytes(stream, "zip", rawmode, is_interlaced)
        except ValueError:
            canvas.frombytes(_with_checksum(stream, most_bytes), "zip", rawmode, is_interlaced)

    last_row = (height // 2 * 2 if is_interlaced and height > 1 else height) - 1
    return draw_all(draw, mode, header.size, last_row, "png")


def _with_checksum(stream: bytes, most_bytes: int) -> bytes:
    """Return a zlib stream with the right checksum.

    It stays as it is where it does not reach its end, or unpacks to more than `most_bytes`.
    """
    inflating, checksum, count = zlib.decompressobj(wbits=-zlib.MAX_WBITS), 1, 0
    for at in range(ZLIB_HEADER_BYTES, len(stream), STEP_BYTES):
        try:
            rows = inflating.decompress(stream[at : at + STEP_BYTES])
        except zlib.error:
            break
        checksum, count = zlib.adler32(rows, checksum), count + len(rows)
        if inflating.eof:
            end = min(at + STEP_BYTES, len(stream)) - len(inflating.unused_data)
            return stream[:end] + checksum.to_bytes(4, "big")
        if count > most_bytes:
            break
    return stream


def _key(parts: _Parts, header: _Header) -> tuple[int, ...]:
    """Return the transparent colour, a number for each of its samples; empty if there is none."""
    count = {GREY: 1, RGB: 3}.get(header.colour, 0)
    told = parts.sides.get(b"tRNS", b"")
    if not count or len(told) < 2 * count:
        return ()
    most = (1 << header.depth) - 1
    return tuple(value & most for value in struct.unpack_from(f">{count}H", told))


def _is_colour(image: Image.Image, colour: list[int]) -> Image.Image:
    """Return a mask of the pixels of an RGB picture that have exactly this colour."""
    mask = Image.new("L", image.size, 255)
    for band, wanted in zip(image.split(), colour, strict=True):
        hits = band.point([255 if value == wanted else 0 for value in range(256)])
        mask = ImageChops.darker(mask, hits)
    return mask
