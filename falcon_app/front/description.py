"""GET /openapi.json: this node's API, with its own limits."""

from __future__ import annotations

import falcon

from image_cloud.api.endpoints import operations
from image_cloud.api.openapi import document
from image_cloud.config.sections import Resize


class Description:
    """GET /openapi.json; `formats` are those that this build can write."""

    scope = "read"

    def __init__(self, settings: Resize, formats: tuple[str, ...]) -> None:
        self._document = document(operations(settings, formats))

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the document."""
        resp.media = self._document
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get
