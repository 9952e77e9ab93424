"""Has an original brought here, and says what is done with it then."""

from __future__ import annotations

from image_cloud.decoding.maker import Maker
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.load import Cache, Found
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest
from image_cloud.request.steps import RESIZED, SendData, SendFile, SendNothing, Step
from image_cloud.storage.variants import variant_path


class Fetcher:
    """Loads originals through `cache`, and has variants of them made by `maker`."""

    def __init__(self, cache: Cache, maker: Maker) -> None:
        self._cache = cache
        self._maker = maker

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        if asked.only_local:
            found = self._cache.local(asked.url)
        else:
            found = self._cache.load(asked.url, use_peers=asked.use_peers)
        if asked.no_image and found.data is not None:
            raise StorageUnavailable("storage: the picture could not be kept")
        if asked.recipe:
            return self._variant(found, asked.recipe, asked.no_image)
        if asked.no_image:
            return SendNothing(found.source)
        original = found.original
        if found.data is None:
            return SendFile(original.relative, found.source, is_private=original.is_private)
        return SendData(found.data, original.extension, found.source, original.is_private)

    def _variant(self, found: Found, recipe: Recipe, no_image: bool) -> Step:
        original = found.original
        if found.data is None:
            data = self._maker.make(original, recipe)
        else:
            data = self._maker.resize(found.data, original, recipe)
        if data is None:
            return _send_stored(original, recipe, no_image)
        if no_image:
            raise StorageUnavailable("storage: the variant could not be kept")
        return SendData(data, recipe.extension, RESIZED, original.is_private)


def _send_stored(original: Original, recipe: Recipe, no_image: bool) -> Step:
    if no_image:
        return SendNothing(RESIZED)
    return SendFile(variant_path(original.stem, recipe.name), RESIZED)
