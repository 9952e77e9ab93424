"""Fetch pool: one download per URL; many threads that wait a lot."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of, respond
from image_cloud.fetch.fallback import Fetching
from image_cloud.fetch.placeholder import Placeholder
from image_cloud.request.internal import HERE, FallbackRequest, FetchRequest


class Fetch:
    """GET /_fetch and /_variant: only nginx gets here, sent by the front pool or with a plain miss."""

    scope = None

    def __init__(self, fetcher: Fetching) -> None:
        self._fetcher = fetcher

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Fetch the original unless it is here, then send it or a variant that is made of it."""
        asked = FetchRequest.read(query_of(req), is_here=req.path == HERE)
        respond(resp, self._fetcher.fetch(asked))

    on_head = on_get


class Fallback:
    """GET /_fallback: only nginx gets here, sent by the front pool for a picture that cannot be had."""

    scope = None

    def __init__(self, placeholder: Placeholder) -> None:
        self._placeholder = placeholder

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send another picture."""
        asked = FallbackRequest.read(query_of(req))
        respond(resp, self._placeholder.step(asked.recipe))

    on_head = on_get
