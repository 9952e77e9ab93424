"""The first frame of a GIF, placed on its screen."""

from __future__ import annotations

from PIL import Image

from image_cloud.config.sections import Resize
from image_cloud.errors import CorruptImage, TruncatedImage
from image_cloud.picture.structure import gif
from image_cloud.picture.structure.data import Data, Size
from image_cloud.picture.structure.gif import Block
from image_cloud.resize import bounds
from image_cloud.resize.averaging import Goal
from image_cloud.resize.readers.drawing import draw_all, filled
from image_cloud.resize.readers.frame import TRANSPARENT, Frame, on_canvas

INTERLACED, HAS_KEY = 0x40, 0x01
GREYS = bytes(value for grey in range(256) for value in (grey, grey, grey))
NOTHING = -1


def read(data: Data, limits: Resize, _goal: Goal) -> Frame:
    """Return the first frame; what of its screen it leaves open is transparent, as browsers have it."""
    image, key = _first_image(data)
    left, top, width, height = gif.frame_of(data, image)
    canvas = gif.canvas_of(gif.screen_of(data), (left, top, width, height))
    if not canvas[0] or not canvas[1]:
        raise CorruptImage("The gif has no pixels.")
    bounds.check_pixels(canvas, limits)
    frames = gif.count_images(data, limits.max_frames + 1)
    bounds.check_frames(frames, "gif", limits)
    if not width or not height:
        return Frame(Image.new("RGBA", canvas, TRANSPARENT), frames=frames)
    drawn = _drawn(data, image, (width, height), key)
    return Frame(on_canvas(drawn, canvas, (left, top)), frames=frames)


def _first_image(data: Data) -> tuple[Block, int | None]:
    """Return the first image and which entry of its palette is transparent."""
    key = None
    for block in gif.blocks(data):
        if block.kind == gif.IMAGE:
            return block, key
        if block.kind == gif.EXTENSION and data[block.body : block.body + 2] == b"\xf9\4":
            flags, _, _, entry = data[block.body + 2 : block.body + 6].ljust(4, b"\0")
            key = entry if flags & HAS_KEY else None
    raise TruncatedImage("The gif ends before its first frame.")


def _drawn(data: Data, image: Block, size: Size, key: int | None) -> Image.Image:
    flags = data[image.body + 8]
    start = gif.data_start(data, image.body)
    bits, coded = data[start - 1], _coded(data, start, image.end)
    is_interlaced = bool(flags & INTERLACED) and size[1] > 1

    def draw(canvas: Image.Image) -> None:
        canvas.frombytes(coded, "gif", bits, is_interlaced, NOTHING)

    last_row = (size[1] // 2 * 2 if is_interlaced else size[1]) - 1
    drawn = draw_all(draw, "P", size, last_row, "gif")
    palette = _palette(data, image, flags)
    if key is None:
        drawn.image.putpalette(palette)
    else:
        drawn.image.putpalette(_with_alpha(palette, key), "RGBA")
    if drawn.missing is None:
        return drawn.image  # a fourth of what it takes in full colours
    plain = drawn.image.convert("RGB" if key is None else "RGBA")
    return filled(plain, drawn.missing, from_above=is_interlaced)


def _coded(data: Data, start: int, end: int) -> bytes:
    """Return an image's sub-blocks; the last, where the file cuts it off, as long as it is."""
    if end <= len(data):
        return data[start:end]
    coded, at = bytearray(data[start:]), 0
    while at < len(coded) and at + 1 + coded[at] <= len(coded):
        at += 1 + coded[at]
    if at < len(coded):
        coded[at] = len(coded) - at - 1
    return bytes(coded)


def _palette(data: Data, image: Block, flags: int) -> bytes:
    """Return 256 colours: the image's own palette, else the screen's, else greys."""
    own = gif.palette_bytes(flags)
    if own:
        palette = data[image.body + 9 : image.body + 9 + own]
    else:
        palette = data[13 : 13 + gif.palette_bytes(data[10])] or GREYS
    return palette.ljust(len(GREYS), b"\0")


def _with_alpha(palette: bytes, key: int | None) -> bytes:
    rgba = bytearray(b"\xff" * 1024)
    rgba[0::4], rgba[1::4], rgba[2::4] = palette[0::3], palette[1::3], palette[2::3]
    if key is not None:
        rgba[4 * key + 3] = 0
    return bytes(rgba)
