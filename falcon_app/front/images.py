"""Front pool: /get_image and /get_thumbnail, as far as the disk has the answer."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of, respond
from image_cloud.config.sections import Resize
from image_cloud.fetch.fallback import find
from image_cloud.fetch.finder import Finder
from image_cloud.request.params import ImageParameters, ThumbnailParameters


class GetImage:
    """GET /get_image; `formats` are those that this build can write."""

    scope = "read"

    def __init__(self, finder: Finder, settings: Resize, formats: tuple[str, ...]) -> None:
        self._finder = finder
        self._parameters = ImageParameters(settings, formats)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the original or a variant."""
        respond(resp, find(self._finder, self._parameters, query_of(req)))

    on_head = on_get


class GetThumbnail:
    """GET /get_thumbnail, and /iproxy.php for the old PHP pages."""

    scope = "read"

    def __init__(self, finder: Finder, settings: Resize) -> None:
        self._finder = finder
        self._parameters = ThumbnailParameters(settings)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a small JPEG."""
        respond(resp, find(self._finder, self._parameters, query_of(req)))

    on_head = on_get
