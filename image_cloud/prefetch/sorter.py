"""Sorts the URLs of one call: what must be fetched, what is there already, what may not be."""

from __future__ import annotations

import dataclasses
import functools

from image_cloud.config.sections import Resize
from image_cloud.db.prefetch_intake import Wanted
from image_cloud.errors import ImageCloudError
from image_cloud.origin import Origin
from image_cloud.picture import url as urls
from image_cloud.picture.key import key_of
from image_cloud.picture.url import Url
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

    `origin` knows what may be fetched.
    """

    def __init__(self, store: Store, origin: Origin, limits: LimitsFile, settings: Resize) -> None:
        self._store = store
        self._origin = origin
        self._limits = limits
        self._settings = settings

    def sort(self, order: Order) -> Sorted:
        """Go over all URLs of `order`."""
        found = Sorted()
        unique = dict.fromkeys(order.urls)
        found.duplicates = len(order.urls) - len(unique)
        names = [thumbnail_recipe(size, self._settings).name for size in order.thumbnails]
        domain_of = functools.cache(self._domain_name)
        for url in unique:
            try:
                parsed = urls.parse(url)
                domain = domain_of(parsed.host, parsed.port)
            except ImageCloudError as error:
                found.rejected.append({"url": url, "code": error.code, "detail": error.detail})
                continue
            key = key_of(url)
            if self._is_there(key, names):
                found.already_cached += 1
            else:
                found.wanted.append(Wanted(key, url, domain))
        return found

    def _domain_name(self, host: str, port: int) -> str:
        """Return the name of the domain.  Raises UrlForbidden; neither looks at the rest of a URL."""
        url = Url("", "http", host, port, "/")
        self._origin.check_parsed(url)
        return self._limits.current().domain_of(url).name

    def _is_there(self, key: str, names: list[str]) -> bool:
        if self._store.original(key) is None:
            return False
        return all(self._store.has_variant(key, name) for name in names)
