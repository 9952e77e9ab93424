"""The three pools of a node, wired as in production; for nginx, `Pools` follows where they send a request."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from falcon.testing import Result, TestClient

from falcon_app.control.app import create_control
from falcon_app.fetch.app import create_fetch
from falcon_app.front.app import create_front
from falcon_app.middleware import INTERNAL
from image_cloud.node import Node
from image_cloud.process.sockets import POOLS
from image_cloud.request import tokens

REQUEST_ID = "0123456789abcdef" * 2
MOST_STEPS = 4
NEXT = {
    "/_fetch": "fetch",
    "/_variant": "fetch",
    "/_delete": "control",
    "/_changes": "control",
    "/_metrics": "control",
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client gets: the last pool's headers, and the file's bytes where nginx sends one."""

    status: int
    headers: dict[str, str]
    body: bytes
    way: list[str]
    """The pools that the request went through."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Pools:
    """Asks with a token of all scopes; each pool has a node of its own, as its process has."""

    def __init__(self, node: Node) -> None:
        self.nodes = {name: Node(node.config) for name in POOLS}
        self._clients = {
            "front": TestClient(create_front(self.nodes["front"])),
            "fetch": TestClient(create_fetch(self.nodes["fetch"])),
            "control": TestClient(create_control(self.nodes["control"])),
        }
        self._node = node
        self._token = self.token_for(*tokens.SCOPES)

    def token_for(self, *scopes: str) -> str:
        """Return the token of a new client."""
        name = f"client-{'-'.join(scopes)}"
        return tokens.add(Path(self._node.config.tokens.file), name, scopes)

    def ask(
        self, method: str, path: str, body: str = "", token: str | None = None, **parameters: Any
    ) -> Answer:
        """Send a request and follow it from pool to pool; an empty `token` is none."""
        pool = "control" if path == "/fire_and_forget" else "front"
        given = self._token if token is None else token
        headers = {"X-Request-Id": REQUEST_ID} | ({"X-Image-Cloud-Token": given} if given else {})
        came = self._clients[pool].simulate_request(
            method, path, params=parameters, body=body, headers=headers
        )
        way = [pool]
        while (target := came.headers.get("X-Accel-Redirect")) and len(way) < MOST_STEPS:
            if target.startswith("/_files/"):
                relative = target.removeprefix("/_files/")
                is_variant = relative.startswith("variants/")
                root = self._node.local if is_variant else self._node.storage
                data = (root / relative).read_bytes()
                return Answer(came.status_code, came.headers, data, way)
            pool = NEXT[target.partition("?")[0]]
            way.append(pool)
            came = self._go_on(pool, target)
        return Answer(came.status_code, came.headers, came.content, way)

    def _go_on(self, pool: str, target: str) -> Result:
        path, _, query = target.partition("?")
        headers = {"X-Request-Id": REQUEST_ID, INTERNAL: "1"}
        return self._clients[pool].simulate_get(path, query_string=query, headers=headers)

    def get(self, path: str, **parameters: Any) -> Answer:
        return self.ask("GET", path, **parameters)
