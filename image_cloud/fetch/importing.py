"""Takes pictures over from an older store: checked, copied, recorded, unless deleted since."""

from __future__ import annotations

import hashlib
import os
import time
from typing import BinaryIO

from image_cloud.errors import Blocked, DeletedMeanwhile
from image_cloud.fetch.arrival import IMPORT, Arrivals, Delivery, Sink, Write
from image_cloud.fetch.purpose import Keep
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store

BLOCK_BYTES = 1 << 20
IMPORTED, HERE, DELETED = "imported", "already here", "deleted before"


class Importer:
    """Copies files into `store`; a file counts as stored when it was last modified."""

    def __init__(self, store: Store, arrivals: Arrivals) -> None:
        self._store = store
        self._arrivals = arrivals

    def take(self, url: Url, source: BinaryIO) -> str:
        """Copy the picture of `url` in and return what became of it; `source` is its open file.

        Raises NotAnImage, UnsupportedFormat, TruncatedImage, StorageUnavailable, OSError.
        """
        if self._store.originals.find(url.key):
            return HERE
        stored_at = round(min(os.fstat(source.fileno()).st_mtime, time.time()), 6)

        def deliver(sink: Sink) -> Delivery:
            return Delivery(_copy(source, sink.write), stored_at, IMPORT, is_in_full=False)

        try:
            self._store.tombstones.check(url.key, stored_at)
            self._arrivals.take(url, deliver, keep=Keep.LASTS)
        except (Blocked, DeletedMeanwhile):
            return DELETED
        return IMPORTED


def _copy(source: BinaryIO, write: Write) -> str:
    digest = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        write(block)
    return digest.hexdigest()
