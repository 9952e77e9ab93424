"""Resize pictures: pure pixel work, from a file to the bytes of its variants."""

from image_cloud.resize.renditions import (
    Steps,
    facts,
    resize,
    resize_all,
    variants,
    variants_from_ladder,
)

__all__ = ["Steps", "facts", "resize", "resize_all", "variants", "variants_from_ladder"]
