"""Asks nodes and load balancer as clients do."""

from __future__ import annotations

import http.client
import urllib.parse
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]


class Client:
    """Requests to one address, each on a connection of its own."""

    def __init__(self, address: str, port: int, token: str, *, timeout_s: float = 30.0) -> None:
        """`token` goes into a header."""
        self._address, self._port, self._timeout_s = address, port, timeout_s
        self._headers = {"X-Image-Cloud-Token": token}

    def ask(self, path: str, method: str = "GET", **parameters: Any) -> Answer:
        """Send one request.  Raises OSError, HTTPException."""
        query = urllib.parse.urlencode(parameters)
        connection = http.client.HTTPConnection(self._address, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, f"{path}?{query}" if query else path, headers=self._headers)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), headers)
        finally:
            connection.close()

    def thumbnail(self, url: str, size: int = 200) -> Answer:
        """Ask for a thumbnail."""
        return self.ask("/get_thumbnail", url=url, size=size)
