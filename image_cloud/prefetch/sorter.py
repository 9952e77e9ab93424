"""Sorts the URLs of one call: what must be fetched, what is there already, what may not be."""

from __future__ import annotations

import dataclasses

from image_cloud.config.sections import Resize
from image_cloud.db.prefetch.intake import Wanted
from image_cloud.errors import ImageCloudError, StorageUnavailable
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.politeness.limits import LimitsFile
from image_cloud.prefetch.body import Order
from image_cloud.request.params import thumbnail_recipe
from image_cloud.storage.store import Store


@dataclasses.dataclass
class Sorted:
    """The URLs of one call, each in one of these."""

    wanted: list[Wanted] = dataclasses.field(default_factory=list)
    rejected: list[dict[str, str]] = dataclasses.field(default_factory=list)
    already_cached: int = 0
    duplicates: int = 0


class Sorter:
    """Says of each URL whether it must be fetched, is there already, or may not be.

    `origin` knows what may be fetched.  Checks of one URL are `least_age_s` apart.
    """

    def __init__(
        self,
        store: Store,
        origin: Origin,
        limits: LimitsFile,
        settings: Resize,
        least_age_s: float = 1.0,
    ) -> None:
        self._store = store
        self._origin = origin
        self._limits = limits
        self._settings = settings
        self._least_age_s = least_age_s

    def sort(self, order: Order) -> Sorted:
        """Go over all URLs of `order`."""
        found = Sorted()
        unique = dict.fromkeys(order.urls)
        found.duplicates = len(order.urls) - len(unique)
        recipes = [thumbnail_recipe(size, self._settings) for size in order.thumbnails]
        domains = _Domains(self._origin, self._limits)
        for text in unique:
            try:
                url = Url.parse(text)
                domain = domains.name_of(url)
            except ImageCloudError as error:
                found.rejected.append({"url": text, "code": error.code, "detail": error.detail})
                continue
            if self._is_there(url.key, recipes) and not self._is_old(url.key, order.max_age):
                found.already_cached += 1
            else:
                found.wanted.append(Wanted(url.key, text, domain))
        return found

    def _is_there(self, key: str, recipes: list[Recipe]) -> bool:
        try:
            original = self._store.originals.find(key)
        except StorageUnavailable:  # it is looked for once more when its turn comes
            return False
        return original is not None and all(
            self._store.variants.find(original.stem, recipe) for recipe in recipes
        )

    def _is_old(self, key: str, max_age_s: int | None) -> bool:
        return max_age_s is not None and self._store.is_over(key, max_age_s, self._least_age_s)


class _Domains:
    """The domains of one call's servers; each server is judged once."""

    def __init__(self, origin: Origin, limits: LimitsFile) -> None:
        self._origin = origin
        self._limits = limits
        self._names: dict[tuple[str, int], str] = {}

    def name_of(self, url: Url) -> str:
        """Return the name of the domain that `url` counts for.  Raises UrlForbidden."""
        server = url.host, url.port
        if server not in self._names:
            self._origin.check(url)
            self._names[server] = self._limits.current().domain_of(url).name
        return self._names[server]
