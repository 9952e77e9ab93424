"""Answers from disk, or names the pool that can.  Never waits and never decodes."""

from __future__ import annotations

from image_cloud.errors import NotLocal, StorageUnavailable
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest
from image_cloud.request.params import ImageRequest
from image_cloud.request.steps import HIT, STALE, SendFile, SendNothing, Step, with_source
from image_cloud.storage.failures import CHECK, RESIZE, Failures
from image_cloud.storage.local.variants import variant_path
from image_cloud.storage.store import Store


class Finder:
    """Answers from disk, or names the pool that can do more.

    Looks into `failures` before anything is tried again.  Checks of one URL are `least_age_s` apart.
    """

    def __init__(self, store: Store, failures: Failures, least_age_s: float) -> None:
        self._store = store
        self._failures = failures
        self._least_age_s = least_age_s

    def find(self, wanted: ImageRequest) -> Step:
        """Return what to do for `wanted`.  Raises NotLocal, Blocked, and remembered failures."""
        try:
            return self._find_stored(wanted)
        except StorageUnavailable:
            if wanted.only_local:
                raise
            return self._fetch_anyway(wanted)

    def _find_stored(self, wanted: ImageRequest) -> Step:
        if not self._is_old(wanted):
            return self._find(wanted)
        if self._failures.recall(wanted.key, CHECK):
            return with_source(self._find(wanted, is_old=True), STALE)
        return FetchRequest.of(wanted, is_old=True)

    def _is_old(self, wanted: ImageRequest) -> bool:
        if wanted.max_age is None or wanted.only_local:
            return False
        try:
            is_over = self._store.is_over(wanted.key, wanted.max_age, self._least_age_s)
            return is_over and self._store.originals.find(wanted.key) is not None
        except StorageUnavailable:  # it cannot be replaced now
            return False

    def _find(self, wanted: ImageRequest, *, is_old: bool = False) -> Step:
        recipe, are_believed = wanted.recipe, self._store.variants.are_believed()
        if recipe and are_believed and (name := self._store.variants.find(wanted.key, recipe)):
            return _send(SendFile(variant_path(wanted.key, name), HIT), wanted)
        original = self._original(wanted)
        if original is None:
            return self._fetch(wanted)
        if recipe:
            self._store.check_variants(original)
            return self._variant(original, recipe, wanted, is_old=is_old)
        # A copy keeps the time of the store and the hash.
        record = self._store.records.find(wanted.key) if wanted.only_local else None
        return _send(SendFile(original.relative, HIT, record, original.is_private), wanted)

    def _original(self, wanted: ImageRequest) -> Original | None:
        """Return the original as far as a glance tells: the fetch pool looks again."""
        originals = self._store.originals
        return originals.find(wanted.key) if wanted.only_local else originals.glance(wanted.key)

    def _fetch_anyway(self, wanted: ImageRequest) -> FetchRequest:
        """Leave it to the fetch pool whether this picture is new: here nobody asks the database."""
        if not wanted.use_peers:
            self._failures.check(wanted.key)
        return FetchRequest.of(wanted)

    def _fetch(self, wanted: ImageRequest) -> FetchRequest:
        if wanted.only_local or not self._store.originals.is_far:
            self._store.tombstones.check_blocked(wanted.key)
        if wanted.only_local:
            raise NotLocal()
        return self._fetch_anyway(wanted)

    def _variant(
        self, original: Original, recipe: Recipe, wanted: ImageRequest, *, is_old: bool
    ) -> Step:
        if name := self._store.variants.find(original.stem, recipe):
            return _send(SendFile(variant_path(original.stem, name), HIT), wanted)
        self._failures.check(wanted.key, RESIZE)
        return FetchRequest.of(wanted, is_here=True, is_old=is_old)


def _send(file: SendFile, wanted: ImageRequest) -> Step:
    return SendNothing(HIT) if wanted.no_image else file
