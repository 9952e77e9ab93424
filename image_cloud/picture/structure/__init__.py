"""What a picture's file is made of: one bounded walk per format, over bytes that are never decoded.

The fetch pool learns from it how large a picture is and whether its file was cut off; the decoder takes the
same walks to hand its decoders nothing but what they need.
"""

from image_cloud.picture.structure.look import is_whole, size_of

__all__ = ["is_whole", "size_of"]
