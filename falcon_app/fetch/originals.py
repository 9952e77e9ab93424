"""Fetch pool: one download per URL; many threads that wait a lot."""

from __future__ import annotations

import falcon

from falcon_app.exchange import (
    RESIZED,
    hand_on,
    query_of,
    request_id,
    send_data,
    send_nothing,
    send_original,
)
from image_cloud.fetch.load import Cache, Found
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest, ResizeRequest
from image_cloud.resize_pool.client import ResizePool
from image_cloud.storage.failures import RESIZE, Failures


class Fetch:
    """GET /_fetch: only nginx gets here, sent by the front pool or with a plain miss.

    Loads originals through `cache`; `resize_pool` takes those that could not be stored.
    """

    scope = None

    def __init__(self, cache: Cache, failures: Failures, resize_pool: ResizePool) -> None:
        self._cache = cache
        self._failures = failures
        self._resize_pool = resize_pool

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Fetch the original, then send it or have it resized."""
        asked = FetchRequest.read(query_of(req))
        found = self._cache.load(asked.url, use_peers=asked.use_peers)
        if asked.recipe and found.data is None:
            self._failures.check(asked.url.key, RESIZE)
            onward = ResizeRequest(found.original, asked.recipe, asked.no_image)
            hand_on(resp, "/_resize", onward.arguments())
        elif asked.no_image:
            send_nothing(resp, found.source)
        elif found.data is not None:
            self._pass_through(resp, found, asked.recipe, request_id(req))
        else:
            send_original(resp, found.original, found.source)

    on_head = on_get

    def _pass_through(
        self, resp: falcon.Response, found: Found, recipe: Recipe | None, identity: str
    ) -> None:
        """Send the bytes themselves: the storage is full, so there is no file for nginx."""
        assert found.data is not None
        original = found.original
        if recipe:
            self._failures.check(original.key, RESIZE)
            data = self._resize_pool.resize(found.data, original, recipe, identity)
            send_data(resp, data, recipe.extension, RESIZED)
        else:
            send_data(resp, found.data, original.extension, found.source)
