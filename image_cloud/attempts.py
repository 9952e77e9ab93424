"""Which request is being decoded right now: a small file that outlives a killed decoder.

The resize worker writes it before it touches the picture and removes it afterwards.  When nginx sees a
resize worker die, the front pool looks for the request's file: there is one, so that picture broke the
decoder; there is none, so the pool was never reached.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from image_cloud.disk import SHARED_MODE


class Attempts:
    """The folder of decoding attempts, shared by the resize and the front pool."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists and both pools may write to it."""
        self._folder = folder

    @contextlib.contextmanager
    def under_way(self, request_id: str, key: str) -> Iterator[None]:
        """Mark `request_id` as decoding the original of `key`; without an id nothing is marked."""
        path = self._folder / request_id
        if request_id == "-":
            yield
            return
        with contextlib.suppress(OSError):  # a full disk must not stop a resize
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, SHARED_MODE)
            os.write(descriptor, key.encode())
            os.close(descriptor)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def take(self, request_id: str) -> str | None:
        """Return the key that `request_id` was decoding and remove the mark; None without one."""
        path = self._folder / request_id
        try:
            key = path.read_text()
            path.unlink(missing_ok=True)
        except OSError:
            return None
        return key
