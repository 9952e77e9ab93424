"""/pages/domains: domains in trouble, the slowest ones, and a button that tries one at once."""

from __future__ import annotations

import falcon

from falcon_app.pages.forms import form_of
from falcon_app.pages.rendering import Renderer
from image_cloud.pages.tables.domains import DomainTable

PATH = "/pages/domains"


class DomainsPage:
    """/pages/domains."""

    def __init__(self, renderer: Renderer, table: DomainTable) -> None:
        self._renderer = renderer
        self._table = table

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show both tables."""
        troubled, slowest = self._table.troubled(), self._table.slowest()
        self._renderer.page(req, resp, "domains.html", troubled=troubled, slowest=slowest)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Lift the pause of the form's domain."""
        self._table.resume(form_of(req).get("domain", ""))
        resp.status, resp.location = falcon.HTTP_303, PATH
