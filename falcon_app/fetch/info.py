"""Fetch pool: what is known of a picture, once it is here and its facts are made."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of, tell
from image_cloud.fetch.info import InfoFetcher
from image_cloud.request.internal import FetchRequest


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
