"""What is common to all that is made of originals: open the one, keep the other, remember what is wrong."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from image_cloud.errors import Busy, ImageCloudError
from image_cloud.picture.record import Original
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

Version = tuple[int, int]


class Keeper:
    """Opens originals of `store`, and keeps beside its variants what was made of them."""

    def __init__(self, store: Store, failures: Failures) -> None:
        self._store = store
        self._failures = failures

    @contextlib.contextmanager
    def remembered(self, original: Original) -> Iterator[None]:
        """Remember what is wrong with the picture."""
        try:
            yield
        except ImageCloudError as error:
            self._failures.remember(original.key, error, RESIZE)
            raise

    @contextlib.contextmanager
    def opened(self, original: Original) -> Iterator[BinaryIO]:
        """Open its file.  Raises Busy where that is gone."""
        try:
            file = self._store.originals.path(original).open("rb", buffering=0)
        except FileNotFoundError:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
        with file:
            yield file

    def kept(
        self, original: Original, files: dict[str, bytes], version: Version
    ) -> Mapping[str, bytes | None]:
        """Store the files as far as that works, unless the original they are of has changed.

        Return them by name, None in place of what is stored.
        """
        kept = self._keep(original, files)
        if kept and self._store.originals.version(original) != version:
            for name in kept:  # deleted or replaced meanwhile
                self._store.variants.remove_one(original.stem, name)
            kept = []
        return {name: None if name in kept else content for name, content in files.items()}

    def _keep(self, original: Original, files: dict[str, bytes]) -> list[str]:
        """Store the files as far as that works; return their names.  A full disk is for originals."""
        if not self._store.space.has_room():
            return []
        failed = self._store.variants.keep(original.stem, files)
        for error in failed.values():
            key, reason = original.key, error.strerror
            log.warning("event=variant_not_stored key=%s reason=%r", key, reason)
        return [name for name in files if name not in failed]


def version_of(source: BinaryIO) -> Version:
    """Return what Originals.version says of the file that is open."""
    status = os.fstat(source.fileno())
    return status.st_ino, status.st_size
