"""Errors of pages: a page that says it, for who reads pages; the problem document for others."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import falcon

from falcon_app.pages.rendering import Renderer

PROBLEM = "application/problem+json"


class ErrorPage:
    """Falcon middleware: a problem document becomes a page, a missing session the way to the log-in."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: Any, _ok: bool
    ) -> None:
        """Turn the answer into what a person can read."""
        if resp.content_type != PROBLEM or "text/html" not in (req.get_header("Accept") or ""):
            return
        problem = json.loads(resp.data or b"{}")
        if problem["status"] == 401:
            resp.delete_header("WWW-Authenticate")
            resp.status, resp.data, resp.content_type = falcon.HTTP_303, None, "text/html"
            resp.location = _log_in(req)
        else:
            resp.data = None
            self._renderer.page(req, resp, "error.html", problem=problem)


def _log_in(req: falcon.Request) -> str:
    back = req.relative_uri if req.method == "GET" and req.path != "/" else ""
    return f"/login?next={quote(back, safe='/')}" if back else "/login"
