"""A Falcon application around single resources, asked as nginx asks the pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import falcon
from falcon.testing import TestClient

from falcon_app.http_errors import new_app
from image_cloud.request.tokens import Client


class Anyone:
    """Stands for the token check: every request comes from one client, with these scopes."""

    def __init__(self, scopes: Sequence[str]) -> None:
        self._scopes = tuple(scopes)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context.scopes = self._scopes
        req.context.client = Client("tests", "", self._scopes, 0)


def client(routes: dict[str, Any], scopes: Sequence[str] = ()) -> TestClient:
    """Return a client of an application with these resources."""
    app = new_app(Anyone(scopes))
    for address, resource in routes.items():
        app.add_route(address, resource)
    return TestClient(app)


def redirect(answer: Any) -> str:
    """Return the internal address that nginx is sent on to."""
    assert answer.status_code == 200
    return str(answer.headers["X-Accel-Redirect"])
