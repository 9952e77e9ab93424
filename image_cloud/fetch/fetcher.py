"""Has an original brought here, and says what is done with it then."""

from __future__ import annotations

from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.load import Cache
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest, ResizeRequest
from image_cloud.request.steps import RESIZED, SendData, SendFile, SendNothing, Step
from image_cloud.resize_pool.client import ResizePool
from image_cloud.storage.failures import RESIZE, Failures


class Fetcher:
    """Loads originals through `cache`; `resize_pool` takes those that could not be stored."""

    def __init__(self, cache: Cache, failures: Failures, resize_pool: ResizePool) -> None:
        self._cache = cache
        self._failures = failures
        self._resize_pool = resize_pool

    def fetch(self, asked: FetchRequest, request_id: str) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        found = self._cache.load(asked.url, use_peers=asked.use_peers)
        original = found.original
        if asked.recipe and found.data is None:
            self._failures.check(original.key, RESIZE)
            return ResizeRequest(original, asked.recipe, asked.no_image)
        if asked.no_image:
            if found.data is not None:
                raise StorageUnavailable("storage: the picture could not be kept")
            return SendNothing(found.source)
        if found.data is None:
            return SendFile(original.relative, found.source, is_private=original.is_private)
        if asked.recipe:
            return self._resize(found.data, original, asked.recipe, request_id)
        return SendData(found.data, original.extension, found.source, original.is_private)

    def _resize(self, data: bytes, original: Original, recipe: Recipe, request_id: str) -> SendData:
        self._failures.check(original.key, RESIZE)
        data = self._resize_pool.resize(data, original, recipe, request_id)
        return SendData(data, recipe.extension, RESIZED, original.is_private)
