"""Fetch pool: what is known of a picture, or resembles it, once it is here and its facts are made."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of, tell
from image_cloud.fetch.info import InfoFetcher
from image_cloud.request.internal import FetchRequest
from image_cloud.similar.request import SimilarRequest


class InfoAnswer:
    """GET /_info and /_info_here: only nginx gets here, sent by the front pool."""

    scope = None

    def __init__(self, infos: InfoFetcher) -> None:
        self._infos = infos

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Fetch the original unless it is here, and tell what is known of it."""
        found = self._infos.fetch(FetchRequest.read(query_of(req)))
        tell(resp, found.told, found.source)

    on_head = on_get


class SimilarTo:
    """GET /_similar_to: only nginx gets here, sent by the front pool."""

    scope = None

    def __init__(self, infos: InfoFetcher) -> None:
        self._infos = infos

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Have its hash made, and send the request on to the pool that searches."""
        asked = SimilarRequest.read_internal(query_of(req))
        if asked.url:
            found = self._infos.fetch(FetchRequest(asked.url, no_image=True))
            asked = asked.of_hash(found.told["dhash"])
        hand_on(resp, "/_similar", asked.arguments())

    on_head = on_get
