"""What is common to all that is made of originals: open the one, keep the other, remember what is wrong."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from image_cloud.errors import Busy, ImageCloudError, StorageUnavailable
from image_cloud.picture.record import Original
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.files import Version
from image_cloud.storage.local.arriving import Arriving
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


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

    def check(self, original: Original, arriving: Arriving | None = None) -> None:
        """Remove what was made of another version, where that is in doubt.  Raises Busy as `opened` does."""
        if arriving is None:
            with _meanwhile_deleted():
                self._store.check_variants(original)

    @contextlib.contextmanager
    def opened(
        self, original: Original, arriving: Arriving | None = None
    ) -> Iterator[tuple[BinaryIO, Version]]:
        """Open its file, and remove what was made of another version.  Raises Busy where it is gone."""
        if arriving:
            with arriving.open() as file:
                yield file, arriving.version
            return
        with _meanwhile_deleted():
            file, version = self._store.originals.open(original)
        with file:
            with contextlib.suppress(OSError):  # a full disk: then nothing is kept
                self._store.variants.keep_only(original.stem, version.modified_ns)
            yield file, version

    def kept(
        self,
        original: Original,
        files: dict[str, bytes],
        version: Version,
        arriving: Arriving | None = None,
    ) -> Mapping[str, bytes | None]:
        """Store the files as far as that works, unless the original they are of has changed.

        Return them by name, None in place of what is stored.
        """
        kept = self._keep(original, files)
        if kept and not self._is_still(original, version, arriving):
            for name in kept:  # deleted or replaced meanwhile
                self._store.variants.remove_one(original.stem, name)
            kept = []
        return {name: None if name in kept else content for name, content in files.items()}

    def _is_still(self, original: Original, version: Version, arriving: Arriving | None) -> bool:
        """Say whether this version of an original is known to be there, or is on its way."""
        if arriving and not arriving.has_ended:
            return True
        try:
            return version.is_of(self._store.originals.version(original))
        except StorageUnavailable:
            return False

    def _keep(self, original: Original, files: dict[str, bytes]) -> list[str]:
        """Store the files as far as that works; return their names.  A full disk is for originals."""
        if not self._store.variants_space.has_room():
            return []
        failed = self._store.variants.keep(original.stem, files)
        for error in failed.values():
            key, reason = original.key, error.strerror
            log.warning("event=variant_not_stored key=%s reason=%r", key, reason)
        return [name for name in files if name not in failed]


@contextlib.contextmanager
def _meanwhile_deleted() -> Iterator[None]:
    """Raise Busy where the original is gone."""
    try:
        yield
    except FileNotFoundError:
        raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
