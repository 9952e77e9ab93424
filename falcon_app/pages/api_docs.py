"""/docs: Swagger UI for this node's API."""

from __future__ import annotations

import falcon

from falcon_app.pages.rendering import Renderer
from image_cloud.api.endpoints import operations
from image_cloud.api.openapi import document
from image_cloud.config.sections import Resize


class ApiDocs:
    """GET /docs."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the page that Swagger UI fills."""
        self._renderer.page(req, resp, "api_docs.html")

    on_head = on_get


class ApiDescription:
    """GET /pages/docs/openapi.json: what /openapi.json says, for who has a session."""

    def __init__(self, settings: Resize, formats: tuple[str, ...]) -> None:
        self._document = document(operations(settings, formats))

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the document."""
        resp.media = self._document

    on_head = on_get
