"""Turns the exceptions of decoders into our errors, in one place."""

from __future__ import annotations

import contextlib
import errno
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from image_cloud import errors
from image_cloud.picture import formats, structure

DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, LookupError, TypeError,
    ArithmeticError, AttributeError, AssertionError, RuntimeError,
)  # fmt: skip
BAD_OFFSETS = (errno.EINVAL, errno.EOVERFLOW)  # of a seek to where the picture says
NO_MEMORY = ("out of memory", "memory limit", "memory allocation", "unexpected c++ exception")
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@contextlib.contextmanager
def public_errors(file: BinaryIO, format: formats.Format, max_pixels: int) -> Iterator[None]:
    """Turn whatever the decoder raises into one of our errors, with a text fit for the client.

    Makes PIL refuse more than `max_pixels` by itself too, for pictures inside pictures.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except errors.ImageCloudError:
        raise
    except MemoryError as error:
        raise _too_much_memory(format) from error
    except BOMBS as error:
        raise errors.TooManyPixels(
            f"The {format.name} has more than {max_pixels} pixels."
        ) from error
    except DECODER_ERRORS as error:
        raise _translated(error, file, format) from error


def _translated(error: Exception, file: BinaryIO, format: formats.Format) -> errors.ImageCloudError:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return _too_much_memory(format)
    if isinstance(error, OSError) and error.errno not in (None, *BAD_OFFSETS):
        return errors.StorageUnavailable("The stored original cannot be read.")
    text = str(error).lower()
    if any(words in text for words in NO_MEMORY) and "security limit" not in text:
        return _too_much_memory(format)
    if isinstance(error, EOFError) or "truncated" in text or not _is_complete(file, format):
        return errors.TruncatedImage(f"The {format.name} ends before the picture does.")
    return errors.CorruptImage(f"The {format.name} cannot be decoded.")


def _too_much_memory(format: formats.Format) -> errors.TooMuchMemory:
    return errors.TooMuchMemory(f"Decoding the {format.name} needs more memory than is allowed.")


def _is_complete(file: BinaryIO, format: formats.Format) -> bool:
    try:
        return structure.is_whole(file, format.name)
    except (OSError, ValueError):  # closed by the decoder
        return True
