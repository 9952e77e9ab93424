"""Requests with `max_age`: the origin is asked before the picture is sent."""

from __future__ import annotations

from image_cloud.fetch.fetcher import Fetcher
from image_cloud.refresh.refresher import Refresher
from image_cloud.request.internal import FetchRequest
from image_cloud.request.steps import MISS, STALE, Step, with_source


class FreshFetcher:
    """Does what `fetcher` does, after `refresher` has looked whether what is here is still good."""

    def __init__(self, fetcher: Fetcher, refresher: Refresher) -> None:
        self._fetcher = fetcher
        self._refresher = refresher

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        if asked.max_age is None:
            return self._fetcher.fetch(asked)
        look = self._refresher.look(asked.url, asked.max_age)
        step = self._fetcher.fetch(asked)
        if look.error:
            return with_source(step, STALE)
        is_new = look.is_changed and not asked.recipe
        return with_source(step, MISS) if is_new else step
