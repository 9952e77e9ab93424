"""GET /pages/playground: parameters as a form, the picture that they make beside the original."""

from __future__ import annotations

import re

import falcon

from falcon_app.exchange import query_of
from falcon_app.pages.rendering import Renderer
from falcon_app.pages.session import scheme_of
from image_cloud.errors import BadParameter
from image_cloud.pages.playground import Playground

HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class PlaygroundPage:
    """GET /pages/playground: `path`, and the parameters of that endpoint."""

    def __init__(self, renderer: Renderer, playground: Playground) -> None:
        self._renderer = renderer
        self._playground = playground

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show form and pictures."""
        query = query_of(req)
        path = query.text("path") or self._playground.paths[0]
        if path not in self._playground.paths:
            raise BadParameter(f"path: expected is one of {', '.join(self._playground.paths)}")
        tried = self._playground.tried(path, query, req.context.session.client, _base(req))
        self._renderer.page(
            req, resp, "playground.html", tried=tried, wanted=path, paths=self._playground.paths
        )

    on_head = on_get


def _base(req: falcon.Request) -> str:
    """Return the address under which the browser knows this node."""
    host = req.get_header("Host") or ""
    return f"{scheme_of(req)}://{host if HOST.fullmatch(host) else 'NODE'}"
