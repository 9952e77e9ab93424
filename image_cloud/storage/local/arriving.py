"""Originals on their way to a storage that several nodes share: so long they lie on this node's own disk.

A thumbnail of such an original is made, kept and answered before the original is stored, which is many trips.
`arriving/<key>` says so until then, locked by the process that stores it: what a process that died leaves
there is not locked, and its variants go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from image_cloud.errors import ImageCloudError, StorageUnavailable
from image_cloud.picture.headers.entity_tag import modified_ns
from image_cloud.picture.record import Original, Record
from image_cloud.process.locks import Locks
from image_cloud.storage.files import Version, unlink
from image_cloud.storage.incoming import Incoming
from image_cloud.storage.local.variants import Variants

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05


class Arriving:
    """One original; a context manager for the time it takes to store it, made by OnTheWay.

    `version` is what the file is going to have, but for its inode.  Set `is_stored` within; otherwise its
    variants are removed in the end.
    """

    def __init__(self, incoming: Incoming, record: Record, mark: Locks, way: OnTheWay) -> None:
        self.incoming = incoming
        self.version = Version(None, record.bytes, modified_ns(record.stored_at, record.sha256))
        self.is_stored = False
        self.has_ended = False
        self._key = record.key
        self._mark = mark
        self._way = way
        self._descriptor = incoming.reopened()
        weakref.finalize(self, os.close, self._descriptor)

    def open(self) -> BinaryIO:
        """Return a file of its bytes, also once it is stored."""
        return open(f"/proc/self/fd/{self._descriptor}", "rb", buffering=0)

    def __enter__(self) -> Arriving:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not self.is_stored:
            reason = error.code if isinstance(error, ImageCloudError) else StorageUnavailable.code
            log.warning("event=not_stored key=%s reason=%s", self._key, reason)
        # Before the variants go: who keeps one from now on looks at the storage (decoding/keeper.py).
        self.has_ended = True
        self._way.end(self._key, is_stored=self.is_stored)
        self._mark.close()
        self.incoming.close()


class OnTheWay:
    """All of them of this process.  Their marks are below `root`, beside the `variants`."""

    def __init__(self, root: Path, variants: Variants) -> None:
        self._root = os.fspath(root)
        self._variants = variants
        self._mutex = threading.Lock()
        self._count = 0

    def begin(self, incoming: Incoming, original: Original, record: Record) -> Arriving | None:
        """Mark an original that has come, and is then to be stored; None where that cannot be.

        What was made of an earlier one goes.
        """
        if incoming.file is None:
            return None
        path = self._path(record.key)
        with contextlib.suppress(OSError), contextlib.ExitStack() as undo:
            mark = undo.enter_context(Locks(path))
            if not mark.take(0) or not os.path.exists(path):  # just found by `remove_lost`
                return None
            undo.callback(unlink, path)
            arriving = Arriving(incoming, record, mark, self)
            self._variants.keep_only(original.stem, arriving.version.modified_ns)
            undo.pop_all()
            with self._mutex:
                self._count += 1
            return arriving
        return None

    def end(self, key: str, *, is_stored: bool) -> None:
        """Take the mark away, and the variants of what is not stored."""
        if not is_stored:
            self._variants.remove(key)
        with contextlib.suppress(OSError):  # else the next process removes variants for nothing
            unlink(self._path(key))
        with self._mutex:
            self._count -= 1

    def finish(self, patience_s: float) -> None:
        """Wait until none is on its way."""
        deadline = time.monotonic() + patience_s
        while self._count and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)

    def remove_lost(self) -> None:
        """Remove the variants of those whose process died before they were stored."""
        with contextlib.suppress(OSError):
            for key in os.listdir(f"{self._root}/arriving"):
                self._remove_if_lost(key)

    def _remove_if_lost(self, key: str) -> None:
        with contextlib.suppress(OSError), Locks(self._path(key)) as mark:
            if mark.take(0):
                self._variants.remove(key)
                unlink(self._path(key))
                log.warning("event=not_stored key=%s reason=process_died", key)

    def _path(self, key: str) -> str:
        return f"{self._root}/arriving/{key}"
