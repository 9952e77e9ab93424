"""Has an original brought here, and says what is done with it then."""

from __future__ import annotations

from image_cloud.decoding.asking import Job, Start, Variant, start_nothing
from image_cloud.decoding.maker import Maker
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.load import Cache, Found
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest
from image_cloud.request.steps import HIT, RESIZED, SendData, SendFile, SendNothing, Step
from image_cloud.storage.local.copies import Copies
from image_cloud.storage.local.variants import variant_path


class Fetcher:
    """Loads originals through `cache`, and has variants of them made by `maker`.

    `start` does in another thread what need not be done before the answer.  `copies` keeps for the answer
    what was just stored far away.
    """

    def __init__(
        self, cache: Cache, maker: Maker, start: Start | None = None, copies: Copies | None = None
    ) -> None:
        self._cache = cache
        self._maker = maker
        self._start = start
        self._copies = copies

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        with _Later(self._start) as later:
            return self._fetch(asked, later.add if self._start else None)

    def _fetch(self, asked: FetchRequest, later: Start | None) -> Step:
        """Do that; what stores an original far away is to be started `later`, once its variant is made."""
        if asked.only_local:
            found = self._cache.local(asked.url)
        else:
            start = later if asked.recipe and not asked.no_image else None
            found = self._cache.load(
                asked.url,
                use_peers=asked.use_peers,
                start=start,
                is_missed=not asked.is_here,
            )
        if asked.no_image and found.data is not None:
            raise StorageUnavailable("storage: the picture could not be kept")
        if asked.recipe:
            return self._variant(found, asked.recipe, asked.no_image)
        if asked.no_image:
            return SendNothing(found.source)
        original = found.original
        if found.data is None:
            copy = self._copies.give(found.copy) if self._copies else ""
            return SendFile(
                original.relative, found.source, is_private=original.is_private, copy=copy
            )
        return SendData(found.data, original.extension, found.source, original.is_private)

    def _variant(self, found: Found, recipe: Recipe, no_image: bool) -> Step:
        original = found.original
        if found.data is None:
            arriving = found.arriving
            variant = self._maker.have(original, recipe, start=self._start, arriving=arriving)
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


class _Later:
    """Jobs that are started at the end of a `with` block."""

    def __init__(self, start: Start | None) -> None:
        self._start = start or start_nothing
        self._jobs: list[Job] = []

    def add(self, job: Job) -> bool:
        """Take a job; say that it is going to be done."""
        self._jobs.append(job)
        return True

    def __enter__(self) -> _Later:
        return self

    def __exit__(self, *_: object) -> None:
        for job in self._jobs:
            if not self._start(job):
                job()
