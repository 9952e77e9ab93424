"""The decoders and encoders of AVIF and HEIC, set up for a worker with one core and little memory.

AVIF comes from PIL itself where it was built with it (IMAGING=pillow), else from pillow-avif-plugin.
"""

from __future__ import annotations

import functools
import importlib
import io
from typing import Any, NamedTuple

from PIL import Image, features

from image_cloud.errors import TooMuchMemory
from image_cloud.picture.structure.data import Size

PIL_NAMES = {b"av01": "AVIF", b"hvc1": "HEIF", b"hev1": "HEIF"}
"""Which of PIL's plugins decodes what items are coded as."""
THREADS = 1
SHARED_FROM_BYTES = 256 << 20
"""In a worker with less memory, 40 MiB of code that it may never use would leave too little for pictures."""


@functools.cache
def load() -> None:
    """Load the codecs and tell PIL of them; once, and best before workers fork, so that they share them.

    Raises TooMuchMemory.
    """
    try:
        _load()
    except (ImportError, OSError) as error:  # they are installed: what lacks is room for their code
        raise TooMuchMemory(
            "The codecs of AVIF and HEIC need more memory than is allowed."
        ) from error


def _load() -> None:
    import pillow_heif

    name = "PIL" if features.check("avif") else "pillow_avif"
    avif = vars(importlib.import_module(f"{name}.AvifImagePlugin"))
    avif["DEFAULT_MAX_THREADS"] = THREADS
    if not avif["SUPPORTED"]:
        raise ImportError(name)
    pillow_heif.register_heif_opener(
        decode_threads=THREADS, thumbnails=False, depth_images=False, aux_images=False
    )


class Pixels(NamedTuple):
    """A decoded picture's rows in one piece, `stride` bytes apart; PIL would take as much again, and more."""

    mode: str
    size: Size
    stride: int
    data: bytes

    def rows(self, top: int, bottom: int) -> Image.Image:
        """Return some of the rows as a picture."""
        data = bytes(self.data[top * self.stride : bottom * self.stride])
        size = self.size[0], bottom - top
        return Image.frombytes(self.mode, size, data, "raw", self.mode, self.stride)


def decoded(data: bytes, coding: bytes) -> Pixels:
    """Decode the picture of a file whose items are of the type `coding`."""
    load()
    with Image.open(io.BytesIO(data), formats=[PIL_NAMES[coding]]) as image:
        plugin: Any = image  # what its load() copies from
        if PIL_NAMES[coding] == "AVIF":
            pixels = plugin._decoder.get_frame(0)[0]
            return Pixels(image.mode, image.size, image.width * len(image.getbands()), pixels)
        frame = plugin._heif_file[image.tell()]
        pixels = frame.data  # its size may change meanwhile
        return Pixels(frame.mode, frame.size, frame.stride, pixels)
