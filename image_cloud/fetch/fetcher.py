"""Has an original brought here, and says what is done with it then."""

from __future__ import annotations

from image_cloud.decoding.asking import Start, Variant
from image_cloud.decoding.maker import Maker
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.load import Cache, Found
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest
from image_cloud.request.steps import HIT, RESIZED, SendData, SendFile, SendNothing, Step
from image_cloud.storage.local.variants import variant_path


class Fetcher:
    """Loads originals through `cache`, and has variants of them made by `maker`.

    `start` does in another thread what need not be done before the answer.
    """

    def __init__(self, cache: Cache, maker: Maker, start: Start | None = None) -> None:
        self._cache = cache
        self._maker = maker
        self._start = start

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
            variant = self._maker.have(original, recipe, start=self._start)
        else:
            data = self._maker.resize(found.data, original, recipe)
            variant = Variant(recipe.name_of(data), data, is_new=True)
        source = RESIZED if variant.is_new else HIT
        if variant.data is None:
            path = variant_path(original.stem, variant.name)
            return SendNothing(source) if no_image else SendFile(path, source)
        if no_image:
            raise StorageUnavailable("storage: the variant could not be kept")
        extension = variant.name.rpartition(".")[2]
        return SendData(variant.data, extension, source, original.is_private)
