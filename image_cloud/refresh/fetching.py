"""Requests with `max_age`: the origin is asked before the picture is sent."""

from __future__ import annotations

from image_cloud.fetch.fetcher import Fetcher
from image_cloud.refresh.refresher import Look, Refresher
from image_cloud.request.internal import FetchRequest
from image_cloud.request.steps import HIT, MISS, STALE, Step, with_source
from image_cloud.storage.store import Store


class FreshFetcher:
    """Does what `fetcher` does, after `refresher` has looked whether what `store` has is still good."""

    def __init__(self, fetcher: Fetcher, refresher: Refresher, store: Store) -> None:
        self._fetcher = fetcher
        self._refresher = refresher
        self._store = store

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        if asked.max_age is None:
            return self._fetcher.fetch(asked)
        look = self._refresher.look(asked.url, asked.max_age)
        was_made = self._is_made(asked)
        step = self._fetcher.fetch(asked)
        return with_source(step, _source(step, look, was_made=was_made))

    def _is_made(self, asked: FetchRequest) -> bool:
        """Say whether the variant that is asked for is there without further ado."""
        original = self._store.originals.find(asked.url.key)
        if not (original and asked.recipe):
            return False
        return self._store.variants.has(original.stem, asked.recipe.name)


def _source(step: Step, look: Look, *, was_made: bool) -> str:
    """Return what X-Cache says."""
    if isinstance(step, FetchRequest):
        return ""
    if look.error:
        return STALE
    if look.is_changed and step.source == HIT:
        return MISS
    return HIT if was_made else step.source
