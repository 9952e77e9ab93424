"""Answers from disk, or names the pool that can.  Never waits and never decodes."""

from __future__ import annotations

from image_cloud.errors import NotLocal
from image_cloud.picture.record import Original, Record
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest, ResizeRequest
from image_cloud.request.params import ImageRequest
from image_cloud.request.steps import HIT, SendFile, SendNothing, Step
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store
from image_cloud.storage.variants import variant_path


class Finder:
    """Answers from disk, or names the pool that can do more.

    Looks into `failures` before anything is tried again.
    """

    def __init__(self, store: Store, failures: Failures) -> None:
        self._store = store
        self._failures = failures

    def find(self, wanted: ImageRequest) -> Step:
        """Return what to do for `wanted`.  Raises NotLocal, Blocked, and remembered failures."""
        recipe = wanted.recipe
        if recipe and self._store.variants.has(wanted.key, recipe.name):
            return _send(variant_path(wanted.key, recipe.name), wanted)
        original = self._store.originals.find(wanted.key)
        if original is None:
            return self._fetch(wanted)
        if recipe:
            return self._resize(original, recipe, wanted)
        record = self._store.records.find(wanted.key) if wanted.only_local else None
        return _send(original.relative, wanted, record)

    def _fetch(self, wanted: ImageRequest) -> FetchRequest:
        self._store.tombstones.check_blocked(wanted.key)
        if wanted.only_local:
            raise NotLocal()
        if not wanted.use_peers:
            self._failures.check(wanted.key)
        return FetchRequest.of(wanted)

    def _resize(self, original: Original, recipe: Recipe, wanted: ImageRequest) -> ResizeRequest:
        self._failures.check(wanted.key, RESIZE)
        return ResizeRequest(original, recipe, wanted.no_image)


def _send(relative: str, wanted: ImageRequest, record: Record | None = None) -> Step:
    """Send a file, with its record for a peer: a copy keeps the time of the store and the hash."""
    return SendNothing(HIT) if wanted.no_image else SendFile(relative, HIT, record)
