"""GET /pages/clients: who asks how much, and who was refused."""

from __future__ import annotations

import falcon

from falcon_app.pages.rendering import Renderer
from image_cloud.pages.tables.clients import ClientTable


class ClientsPage:
    """GET /pages/clients."""

    def __init__(self, renderer: Renderer, table: ClientTable) -> None:
        self._renderer = renderer
        self._table = table

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a row for each client."""
        self._renderer.page(req, resp, "clients.html", rows=self._table.rows())

    on_head = on_get
