"""The decoders and encoders of AVIF and HEIC, set up for a worker with one core and little memory.

Importing this module loads them (some 50 MB of code, shared by all workers): the resize pool's master does.
AVIF comes from PIL itself where it was built with it (IMAGING=pillow), else from pillow-avif-plugin.
"""

from __future__ import annotations

import importlib
import io

import pillow_heif
from PIL import Image, features

PIL_NAMES = {b"av01": "AVIF", b"hvc1": "HEIF", b"hev1": "HEIF"}
"""Which of PIL's plugins decodes what items are coded as."""
THREADS = 1

_avif = "PIL.AvifImagePlugin" if features.check("avif") else "pillow_avif.AvifImagePlugin"
vars(importlib.import_module(_avif))["DEFAULT_MAX_THREADS"] = THREADS
pillow_heif.register_heif_opener(
    decode_threads=THREADS, thumbnails=False, depth_images=False, aux_images=False
)


def decoded(data: bytes, coding: bytes) -> Image.Image:
    """Decode the picture of a file whose items are of the type `coding`."""
    with Image.open(io.BytesIO(data), formats=[PIL_NAMES[coding]]) as image:
        image.load()
        return image
