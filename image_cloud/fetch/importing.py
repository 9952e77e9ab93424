"""Takes pictures over from an older store: checked, copied, recorded, unless deleted since."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from typing import BinaryIO

import imagesize

from image_cloud.errors import (
    Blocked,
    DeletedMeanwhile,
    NotAnImage,
    StorageUnavailable,
    TruncatedImage,
)
from image_cloud.picture import formats
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.storage.incoming import Incoming, MemoryBudget
from image_cloud.storage.store import Store

BLOCK_BYTES = 1 << 20
IMPORTED, HERE, DELETED = "imported", "already here", "deleted before"


@dataclasses.dataclass(frozen=True)
class Imported:
    """What became of one file; `record` is there where it was stored."""

    outcome: str
    record: Record | None = None


class Importer:
    """Copies files into a store; a file counts as stored when it was last modified.

    `source` is noted as where the pictures come from.
    """

    def __init__(self, store: Store, source: str = "import") -> None:
        self._store = store
        self._source = source

    def take(self, url: Url, source: BinaryIO) -> Imported:
        """Copy the picture of `url` in; `source` is its open file.

        Raises NotAnImage, TruncatedImage, StorageUnavailable, OSError.
        """
        if self._store.originals.find(url.key):
            return Imported(HERE)
        stored_at = round(min(os.fstat(source.fileno()).st_mtime, time.time()), 6)
        try:
            self._store.tombstones.check(url.key, stored_at)
            return Imported(IMPORTED, self._copy(url, source, stored_at))
        except (Blocked, DeletedMeanwhile):
            return Imported(DELETED)

    def _copy(self, url: Url, source: BinaryIO, stored_at: float) -> Record:
        with Incoming(self._store, MemoryBudget(0)) as incoming:
            sha256 = _copy_bytes(source, incoming)
            fmt = _check(incoming)
            if incoming.file is None:
                raise StorageUnavailable("storage: full")
            width, height = _pixels(incoming)
            record = Record(
                url.key, url.text, url.host, fmt.name, width, height, incoming.size, sha256, stored_at,
                self._source,
            )  # fmt: skip
            self._store.place(incoming.file, record)
        return record


def _copy_bytes(source: BinaryIO, incoming: Incoming) -> str:
    digest = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        incoming.write(block)
    return digest.hexdigest()


def _check(incoming: Incoming) -> formats.Format:
    fmt = formats.sniff(incoming.head)
    if fmt is None:
        raise NotAnImage(f"it is {formats.describe(incoming.head)}")
    with incoming.open() as file:
        if not formats.is_complete(file, incoming.size, fmt):
            raise TruncatedImage(f"the {fmt.name} file ends after {incoming.size} bytes")
    return fmt


def _pixels(incoming: Incoming) -> tuple[int | None, int | None]:
    try:
        with incoming.open() as file:
            width, height = imagesize.get(file, exif_rotation=False)
    except Exception:  # a hostile header: the row goes without
        return None, None
    fits = 0 < width < 2**31 and 0 < height < 2**31
    return (int(width), int(height)) if fits else (None, None)
