"""The pages without a browser: forms are read and sent as a script would."""

from __future__ import annotations

import re
from typing import Any

import requests

from tests.stack.running import Stack

HTML = {"Accept": "text/html"}
TIMEOUT_S = 60.0


class Script:
    """A client that keeps cookies and sends the browser's own headers with forms."""

    def __init__(self, stack: Stack) -> None:
        self.base = stack.url
        self.session = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        options = {"headers": HTML, "timeout": TIMEOUT_S, "allow_redirects": False} | options
        return self.session.get(self.base + path, **options)

    def post(
        self, path: str, fields: dict[str, str], *, headers: dict[str, str] | None = None
    ) -> requests.Response:
        sent = HTML | ({"Origin": self.base} if headers is None else headers)
        return self.session.post(
            self.base + path, data=fields, headers=sent, timeout=TIMEOUT_S, allow_redirects=False
        )

    def form_token(self, path: str = "/login") -> str:
        return form_token_in(self.get(path).text)

    def log_in(self, token: str, wanted: str = "/") -> requests.Response:
        fields = {"form_token": self.form_token(), "token": token, "next": wanted}
        return self.post("/login", fields)

    @property
    def cookie(self) -> str:
        (found,) = [one.value for one in self.session.cookies]
        return found or ""


def form_token_in(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]
