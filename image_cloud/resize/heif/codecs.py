"""The decoders and encoders of AVIF and HEIC, set up for a worker with one core and little memory.

AVIF comes from PIL itself where it was built with it (IMAGING=pillow), else from pillow-avif-plugin.
"""

from __future__ import annotations

import functools
import importlib
import io

from PIL import Image, features

from image_cloud.errors import TooMuchMemory

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


def decoded(data: bytes, coding: bytes) -> Image.Image:
    """Decode the picture of a file whose items are of the type `coding`."""
    load()
    with Image.open(io.BytesIO(data), formats=[PIL_NAMES[coding]]) as image:
        image.load()
        return image
