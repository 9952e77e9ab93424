"""GET /pages/cloning: what is to be cloned, what is stuck, and what the audit found."""

from __future__ import annotations

import falcon

from falcon_app.pages.rendering import Renderer
from image_cloud.pages.tables.cloning import Cloning


class CloningPage:
    """GET /pages/cloning."""

    def __init__(self, renderer: Renderer, cloning: Cloning) -> None:
        self._renderer = renderer
        self._cloning = cloning

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show what is known."""
        self._renderer.page(req, resp, "cloning.html", state=self._cloning.state())

    on_head = on_get
