"""A source of bytes: a file, or the body of a request."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes (-1: all), none at the end."""
