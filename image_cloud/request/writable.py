"""Which formats the imaging library of this installation can write."""

from __future__ import annotations

import importlib.util

from PIL import Image, features

from image_cloud.config.sections import ENCODABLE

OPTIONAL = {"webp": "webp", "tiff": "libtiff"}


def writable_formats() -> tuple[str, ...]:
    """Return the names out of ENCODABLE that this build of PIL can write, its plugins included."""
    Image.init()
    return tuple(name for name in ENCODABLE if _is_writable(name))


def _is_writable(name: str) -> bool:
    if name == "avif":  # the plugin is loaded in the resize pool alone
        return bool(features.check("avif")) or importlib.util.find_spec("pillow_avif") is not None
    is_there = name not in OPTIONAL or bool(features.check(OPTIONAL[name]))
    return is_there and name.upper() in Image.SAVE
