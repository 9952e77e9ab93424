"""libwebp's own decoder, which draws a picture smaller while it decodes.

PIL decodes every WebP as an animation: two canvases of the full size, and copies of them.  The functions
are those of the library that PIL itself is linked with.  https://developers.google.com/speed/webp/docs/api
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from PIL import Image, _webp

from image_cloud.errors import CorruptImage, TruncatedImage
from image_cloud.picture.structure.data import Size

ABI_VERSION = 0x0209
RGB, RGBA = 0, 1
OUT_OF_MEMORY, SUSPENDED, NOT_ENOUGH_DATA = 1, 5, 7
BANDS = {RGB: "RGB", RGBA: "RGBA"}


class _Pixels(ctypes.Structure):
    _fields_ = (
        ("rgba", ctypes.c_void_p),
        ("stride", ctypes.c_int),
        ("size", ctypes.c_size_t),
        ("of_planes", ctypes.c_uint8 * 56),  # the other half of the union is larger
    )


class _Output(ctypes.Structure):
    _fields_ = (
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("is_external_memory", ctypes.c_int),
        ("pixels", _Pixels),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Features(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("has_alpha", ctypes.c_int),
        ("has_animation", ctypes.c_int),
        ("format", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        ("bypass_filtering", ctypes.c_int),
        ("no_fancy_upsampling", ctypes.c_int),
        ("use_cropping", ctypes.c_int),
        ("crop", ctypes.c_int * 4),
        ("use_scaling", ctypes.c_int),
        ("scaled_width", ctypes.c_int),
        ("scaled_height", ctypes.c_int),
        ("use_threads", ctypes.c_int),
        ("dithering_strength", ctypes.c_int),
        ("flip", ctypes.c_int),
        ("alpha_dithering_strength", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Config(ctypes.Structure):
    _fields_ = (("input", _Features), ("output", _Output), ("options", _Options))


def decoded(data: bytes, start: int, end: int, size: Size, scaled: Size) -> Image.Image:
    """Decode the picture of `size` in this part of `data` to RGB or RGBA, drawn as large as `scaled`.

    The part is a file of one picture, or a chunk's body.  Raises TruncatedImage, CorruptImage, MemoryError.
    """
    config = _Config()
    if not _library().WebPInitDecoderConfigInternal(ctypes.byref(config), ABI_VERSION):
        raise RuntimeError("another libwebp")
    place, length = (
        (ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0) + start,
        end - start,
    )
    _check(
        _library().WebPGetFeaturesInternal(place, length, ctypes.byref(config.input), ABI_VERSION)
    )
    if (config.input.width, config.input.height) != size:
        raise CorruptImage("The webp is not as large as it says.")
    config.options.use_scaling = int(scaled != size)
    config.options.scaled_width, config.options.scaled_height = scaled
    kind = RGBA if config.input.has_alpha else RGB
    pixels = _room(config.output, kind, scaled)
    _check(_library().WebPDecode(place, length, ctypes.byref(config)))
    return _image(pixels, BANDS[kind], scaled)


def _room(output: _Output, kind: int, size: Size) -> ctypes.Array[ctypes.c_char]:
    """Have libwebp write to memory of ours; return that."""
    stride = size[0] * len(BANDS[kind])
    pixels = ctypes.create_string_buffer(stride * size[1])
    output.colorspace, output.is_external_memory = kind, 1
    output.pixels.rgba = ctypes.addressof(pixels)
    output.pixels.stride, output.pixels.size = stride, len(pixels)
    return pixels


def _image(pixels: ctypes.Array[ctypes.c_char], mode: str, size: Size) -> Image.Image:
    """Return the pixels as a picture; those of RGBA stay where they are."""
    memory: Any = pixels
    if mode == "RGBA":
        return Image.frombuffer(mode, size, memory, "raw", mode, 0, 1)
    return Image.frombytes(mode, size, memory)


def _check(status: int) -> None:
    if status == OUT_OF_MEMORY:
        raise MemoryError
    if status in (SUSPENDED, NOT_ENOUGH_DATA):
        raise TruncatedImage("The webp ends before the picture does.")
    if status:
        raise CorruptImage("The webp cannot be decoded.")


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the library: its names are found through PIL's module, wherever it lies."""
    library = ctypes.CDLL(_webp.__file__)
    library.WebPGetFeaturesInternal.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int,
    )  # fmt: skip
    library.WebPDecode.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    return library
