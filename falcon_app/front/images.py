"""Front pool: /get_image and /get_thumbnail, as far as the disk has the answer."""

from __future__ import annotations

from collections.abc import Mapping

import falcon

from falcon_app.exchange import query_of, respond
from image_cloud.fetch.fallback import find
from image_cloud.fetch.finder import Finder
from image_cloud.request.params import ImageParameters, ThumbnailParameters

VARY = "X-Image-Cloud-Vary"
"""nginx makes a Vary of it, for what it answers itself as well (nginx/maps/vary.conf)."""


class Varying:
    """Falcon middleware: every answer to a request for `auto` says that Accept decided, errors included."""

    def __init__(self, tables: Mapping[str, ImageParameters | ThumbnailParameters]) -> None:
        """`tables` are the parameters of each path that knows `auto`."""
        self._tables = tables

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say so to nginx."""
        table = self._tables.get(req.path)
        if table and table.is_auto(query_of(req)):
            resp.set_header(VARY, "Accept")


class GetImage:
    """GET /get_image."""

    scope = "read"

    def __init__(self, finder: Finder, parameters: ImageParameters) -> None:
        self._finder = finder
        self._parameters = parameters

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the original or a variant."""
        respond(resp, find(self._finder, self._parameters, query_of(req)))

    on_head = on_get


class GetThumbnail:
    """GET /get_thumbnail, and /iproxy.php for the old PHP pages."""

    scope = "read"

    def __init__(self, finder: Finder, parameters: ThumbnailParameters) -> None:
        self._finder = finder
        self._parameters = parameters

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a small picture."""
        respond(resp, find(self._finder, self._parameters, query_of(req)))

    on_head = on_get
