"""Resize pictures: pure pixel work, from a file to the bytes of its variants."""

from image_cloud.resize.renditions import resize, resize_all

__all__ = ["resize", "resize_all"]
