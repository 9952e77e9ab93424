"""The pools as they are wired, with a request on its way through them; only nginx is stood in for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from PIL import Image

from falcon_app.fetch.app import create_fetch
from falcon_app.front.app import create_front
from falcon_app.resize.app import create_resize
from image_cloud.node import Node
from image_cloud.request import tokens
from tests.frontdoor.client import jpeg
from tests.node import new_node
from tests.origin import Origin, answer

IDENTITY = "a" * 32


class Nginx:
    """Walks a request from pool to pool; the database is away."""

    def __init__(self, node: Node) -> None:
        self._storage = node.storage
        token = tokens.add(Path(node.config.tokens.file), "tests", tokens.SCOPES)
        self._headers = {"X-Request-Id": IDENTITY, "X-Image-Cloud-Token": token}
        fetch = TestClient(create_fetch(node))
        self._front = TestClient(create_front(node))
        self._pools = {"/_fetch": fetch, "/_delete": fetch, "/_changes": fetch}
        self._pools["/_resize"] = TestClient(create_resize(node))

    def ask(self, method: str, address: str, **parameters: Any) -> tuple[Any, bytes]:
        """Return the last pool's answer, and what is sent."""
        answer = self._front.simulate_request(
            method, address, params=parameters, headers=self._headers
        )
        while target := answer.headers.get("X-Accel-Redirect"):
            if target.startswith("/_files/"):
                return answer, (self._storage / target.removeprefix("/_files/")).read_bytes()
            pool = self._pools[target.partition("?")[0]]
            answer = pool.simulate_get(target, headers=self._headers)
        return answer, answer.content


@pytest.fixture
def nginx(tmp_path: Path) -> Nginx:
    return Nginx(new_node(tmp_path))


def test_a_thumbnail_is_fetched_resized_and_then_there(nginx: Nginx, origin: Origin) -> None:
    url, seen = origin.serve("/a.jpg", jpeg()), []
    for size in (200, 200, 250):
        came, data = nginx.ask("GET", "/get_thumbnail", url=url, size=size)
        assert (came.status_code, came.headers["Content-Type"]) == (200, "image/jpeg")
        with Image.open(io.BytesIO(data)) as image:
            assert max(image.size) == size
        seen.append(came.headers["X-Cache"])
    assert (seen, origin.count("/a.jpg")) == (["RESIZED", "HIT", "HIT"], 1)


def test_an_original_is_the_origin_s_bit_for_bit(nginx: Nginx, origin: Origin) -> None:
    content = jpeg(seed=4)
    url = origin.serve("/b.jpg", content)
    for cache in ("MISS", "HIT"):
        came, data = nginx.ask("GET", "/get_image", url=url)
        assert (came.headers["X-Cache"], data) == (cache, content)


def test_a_delete_removes_it_and_a_block_forbids_it(nginx: Nginx, origin: Origin) -> None:
    url = origin.serve("/c.jpg", jpeg(seed=5))
    nginx.ask("GET", "/get_thumbnail", url=url)
    done, _ = nginx.ask("DELETE", "/delete_image", url=url, block="true")
    assert done.json == {"url": url, "deleted": True, "blocked": True, "recorded": False}
    gone, _ = nginx.ask("GET", "/get_thumbnail", url=url)
    assert (gone.status_code, gone.json["code"]) == (410, "blocked")


def test_a_failure_is_remembered_on_the_way(nginx: Nginx, origin: Origin) -> None:
    url = origin.behave("/404", answer(404))
    for _ in range(2):
        came, _ = nginx.ask("GET", "/get_image", url=url, resize_width=20)
        assert (came.status_code, came.json["code"]) == (404, "origin_not_found")
    assert origin.count("/404") == 1


def test_the_feed_needs_the_database(nginx: Nginx) -> None:
    came, _ = nginx.ask("GET", "/changes", limit=1)
    assert (came.status_code, came.json["code"]) == (503, "database_unavailable")
    ready, _ = nginx.ask("GET", "/ready")
    assert (ready.json["status"], ready.json["storage"]) == ("degraded", "ok")
