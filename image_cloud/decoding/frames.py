"""What a decoder answers, piece by piece, through a pipe: variants in the plan's order, a ladder, an end.

In place of variants and ladder come facts, where these were asked for.

Each frame is a head (kind, length) and that many bytes.  An error is JSON of code and detail.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time

from image_cloud.errors import (
    BadParameter,
    ImageCloudError,
    ImageTooLarge,
    StorageUnavailable,
    UnusableImage,
    by_code,
)

HEAD = struct.Struct("!BI")
VARIANT, LADDER, ERROR, END, FACTS = KINDS = range(5)
MOST_ERROR_BYTES = 4096
MOST_DETAIL = 500
READ_BYTES = 64 * 1024
"""A pipe holds no more; a buffer much larger would be mapped, and unmapped again, for each read."""
ERRORS_OF_PICTURES = (ImageTooLarge, UnusableImage, BadParameter, StorageUnavailable)
"""What a decoder may say of a picture; it is not believed in anything else."""


class MalformedAnswer(Exception):
    """The decoder sent what no decoder of ours sends."""


class Closed(Exception):
    """The answer ended before its end."""


class TooSlow(Exception):
    """The answer did not come in time."""


def write(descriptor: int, kind: int, content: bytes = b"") -> None:
    """Send one frame.  Raises OSError where nobody reads any more."""
    head = HEAD.pack(kind, len(content))
    if len(content) <= select.PIPE_BUF:
        head, content = head + content, b""
    for piece in (head, content):
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]


def write_error(descriptor: int, error: ImageCloudError) -> None:
    """Send an error of the picture."""
    write(descriptor, ERROR, json.dumps([error.code, error.detail[:MOST_DETAIL]]).encode())


def error_of(content: bytes) -> ImageCloudError:
    """Return the error that a frame tells of.  Raises MalformedAnswer."""
    try:
        code, detail = json.loads(content)
        found = by_code(code)
    except (ValueError, TypeError, RecursionError):
        raise MalformedAnswer("an error that does not parse") from None
    if not isinstance(detail, str) or not issubclass(found, ERRORS_OF_PICTURES):
        raise MalformedAnswer("an error that is no picture's")
    return found(_printable(detail[:MOST_DETAIL]))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


class Reader:
    """Reads frames from a pipe until `deadline` (time.monotonic)."""

    def __init__(self, descriptor: int, deadline: float) -> None:
        self._descriptor = descriptor
        self._deadline = deadline
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._rest = b""

    def read(self, most_bytes: int) -> tuple[int, bytes]:
        """Return kind and bytes of the next frame.

        Raises MalformedAnswer for one of more than `most_bytes` or an unknown kind, Closed, TooSlow.
        """
        kind, length = HEAD.unpack(self._take(HEAD.size))
        if kind not in KINDS or length > most_bytes:
            raise MalformedAnswer(f"a frame of kind {kind} with {length} bytes")
        return kind, self._take(length)

    def is_all_here(self) -> bool:
        """Say whether all that comes has come, and its sender has closed the pipe; wait for nothing."""
        while len(self._rest) <= READ_BYTES and self._poll.poll(0):
            piece = os.read(self._descriptor, READ_BYTES)
            if not piece:
                return True
            self._rest += piece
        return False

    def _take(self, count: int) -> bytes:
        """Return the next `count` bytes; most frames come in one piece."""
        pieces, here = [self._rest], len(self._rest)
        while here < count:
            piece = self._more()
            pieces.append(piece)
            here += len(piece)
        joined = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        self._rest = joined[count:]
        return joined[:count]

    def _more(self) -> bytes:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or not self._poll.poll(left_s * 1000):
            raise TooSlow
        piece = os.read(self._descriptor, READ_BYTES)
        if not piece:
            raise Closed
        return piece
