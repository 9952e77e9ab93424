"""From an original's bytes to its first frame, handing each decoder only what it needs.

What a file carries besides its pixels never gets to a decoder: orientation, profile and gamma are read here,
all else is left out.  Decoders are called by the decoder daemon alone.
"""

from image_cloud.resize.readers.frame import Frame
from image_cloud.resize.readers.reader import read

__all__ = ["Frame", "read"]
