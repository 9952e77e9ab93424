"""HEIF files (AVIF, HEIC): what they show, read from their boxes alone; nothing is decoded here.

Every walk is linear and bounded: by bytes of headers, by boxes, by items.
"""

from image_cloud.picture.heif.shown import Shown, read
from image_cloud.picture.malformed import CutOff, Malformed

__all__ = ["CutOff", "Malformed", "Shown", "read"]
