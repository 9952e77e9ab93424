"""Resize pictures: pure pixel work, from a file to the bytes of its variants."""

from image_cloud.resize.ladder import NAME as LADDER
from image_cloud.resize.renditions import (
    Steps,
    resize,
    resize_all,
    resize_from_ladder,
    resize_with_ladder,
)

__all__ = ["LADDER", "Steps", "resize", "resize_all", "resize_from_ladder", "resize_with_ladder"]
