"""Which formats the imaging library of this installation can write."""

from __future__ import annotations

from PIL import Image, features

from image_cloud.config.sections import ENCODABLE

OPTIONAL = {"webp": "webp", "avif": "avif", "tiff": "libtiff"}


def writable_formats() -> tuple[str, ...]:
    """Return the names out of ENCODABLE that this build of PIL can write."""
    Image.init()
    return tuple(
        name
        for name in ENCODABLE
        if name.upper() in Image.SAVE and (name not in OPTIONAL or features.check(OPTIONAL[name]))
    )
