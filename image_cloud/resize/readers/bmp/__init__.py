"""BMP: rows of every depth, colour masks, runs, and alpha as browsers read it."""

from image_cloud.resize.readers.bmp.read import read

__all__ = ["read"]
