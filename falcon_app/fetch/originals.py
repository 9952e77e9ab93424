"""Fetch pool: one download per URL; many threads that wait a lot."""

from __future__ import annotations

import falcon

from falcon_app.exchange import (
    MIMES,
    hand_to_resize,
    query_of,
    request_id,
    send_nothing,
    send_original,
)
from image_cloud.fetch.load import Cache, Found
from image_cloud.request.params import picture_url
from image_cloud.resize_pool.client import ResizeClient
from image_cloud.storage.failures import RESIZE, Failures


class Fetch:
    """GET /_fetch: only nginx gets here, sent by the front pool or with a plain miss.

    `resizer` takes the originals that could not be stored.
    """

    scope = None

    def __init__(self, cache: Cache, failures: Failures, resizer: ResizeClient) -> None:
        self._cache = cache
        self._failures = failures
        self._resizer = resizer

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Fetch the original, then send it or hand it on to the resize pool."""
        query = query_of(req)
        url, variant = picture_url(query), query.text("variant")
        found = self._cache.load(url, use_peers=query.boolean("peers"))
        if variant and found.data is None:
            self._failures_allow(found)
            no_image = query.boolean("no_image")
            hand_to_resize(resp, found.original, variant, no_image=no_image)
        elif query.boolean("no_image"):
            send_nothing(resp, found.source)
        elif found.data is not None:
            self._pass_through(req, resp, found, variant)
        else:
            send_original(resp, found.original, found.source)

    on_head = on_get

    def _failures_allow(self, found: Found) -> None:
        remembered = self._failures.recall(found.original.key, RESIZE)
        if remembered:
            raise remembered

    def _pass_through(
        self, req: falcon.Request, resp: falcon.Response, found: Found, variant: str | None
    ) -> None:
        """Send the bytes themselves: the storage is full, so there is no file for nginx."""
        assert found.data is not None
        if variant:
            self._resizer.resize(found.data, variant, request_id(req)).copy_to(resp)
        else:
            resp.data = found.data
            resp.content_type = MIMES[found.original.extension]
            resp.set_header("X-Cache", found.source)
