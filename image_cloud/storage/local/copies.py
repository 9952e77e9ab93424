"""Copies of originals that were just stored far away: who asked for one gets it from this node's own disk.

Reading it back would be trips, and the storage may be lost in this moment.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from image_cloud.picture.record import Record
from image_cloud.storage.files import stamp, unlink
from image_cloud.storage.incoming import Incoming

VALID_S = 0.8
"""Less than a second, in which another node may have deleted the picture (docs/operations.md)."""
NAME = re.compile(r"([0-9]{1,18})-[0-9a-f]{32}")


class Copy:
    """The bytes that an original was made of, `stored_at` this time (time.monotonic)."""

    def __init__(self, incoming: Incoming, record: Record, stored_at: float) -> None:
        """Raises OSError."""
        self.stored_at = stored_at
        self._descriptor = incoming.reopened()
        self._name = ""
        weakref.finalize(self, os.close, self._descriptor)
        # As that of the original: Last-Modified and ETag.
        stamp(self._descriptor, min(record.stored_at, time.time()), record.sha256)

    def link(self, path: str) -> None:
        """Give it one more name.  Raises OSError, also where the file system knows no files without any.

        It keeps a name of its own as long as anybody holds it: who waited for it wants one, too, and a file
        that has lost its last name gets none again.
        """
        if not self._name:
            name = f"{path}-held"
            os.link(f"/proc/self/fd/{self._descriptor}", name, src_dir_fd=self._descriptor)
            weakref.finalize(self, unlink, name)
            self._name = name
        os.link(self._name, path)


class Copies:
    """Hands copies on to the request's next step, which any process of the pool may get.

    They lie below `local`, the node's own disk, until they are opened, or are no longer good when this
    process gives another one; what a process leaves there that ends, the janitor removes.
    """

    def __init__(self, local: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = f"{local}/incoming"
        self._clock = clock
        self._mutex = threading.Lock()
        self._given: collections.deque[tuple[float, str]] = collections.deque()

    def give(self, copy: Copy | None) -> str:
        """Return the name under which a copy can be opened once; empty where there is none."""
        if copy is None:
            return ""
        name = f"{int(copy.stored_at * 1000)}-{secrets.token_hex(16)}"
        with contextlib.suppress(OSError), self._mutex:
            self._remove_old()
            copy.link(self._path(name))
            self._given.append((copy.stored_at, name))
            return name
        return ""

    def open(self, name: str) -> BinaryIO | None:
        """Return the copy of that name; None where it is not here, or no longer good."""
        named = NAME.fullmatch(name)
        if named is None:
            return None
        with contextlib.suppress(OSError), contextlib.ExitStack() as undo:
            file = undo.enter_context(open(self._path(name), "rb", buffering=0))
            unlink(self._path(name))
            if self._is_good(int(named[1]) / 1000):
                undo.pop_all()
                return file
        return None

    def _remove_old(self) -> None:
        while self._given and not self._is_good(self._given[0][0]):
            unlink(self._path(self._given.popleft()[1]))

    def _is_good(self, stored_at: float) -> bool:
        return self._clock() - stored_at < VALID_S

    def _path(self, name: str) -> str:
        return f"{self._folder}/.copy-{name}"
