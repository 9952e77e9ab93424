"""A node's three pools, wired as in production, with a real decoder, PostgreSQL and origin, but no nginx."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image_cloud.db import catalog
from image_cloud.node import Node
from image_cloud.picture.url import Url
from image_cloud.storage.local.variants import variant_path
from tests.decoding import Daemon
from tests.frontdoor.client import jpeg
from tests.node import AWAY, new_node
from tests.origin import Origin
from tests.pools import Pools

DEADLINE_S = 60.0


@pytest.fixture
def pools(node: Node) -> Iterator[Pools]:
    pools = Pools(node)
    recorder = pools.nodes["fetch"].recorder
    recorder.start()
    with Daemon(node.config):
        yield pools
    recorder.stop()


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def size(body: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(body)).size


def row_of(node: Node, url: str) -> Any:
    with node.database.transaction() as cursor:
        return catalog.find(cursor, Url.parse(url).key)


def test_a_picture_is_fetched_once_and_its_row_follows(
    pools: Pools, node: Node, origin: Origin
) -> None:
    url = origin.serve("/a.jpg", content := jpeg(64, 48))
    came = pools.get("/get_image", url=url)
    assert (came.status, came.body, came.headers["X-Cache"]) == (200, content, "MISS")
    assert came.way == ["front", "fetch"]
    came = pools.get("/get_image", url=url)
    assert (came.body, came.headers["X-Cache"], came.way) == (content, "HIT", ["front"])
    assert origin.count("/a.jpg") == 1
    row = eventually(lambda: row_of(node, url))
    assert (row.url, row.bytes, row.width, row.stored_from) == (url, len(content), 64, "origin")
    eventually(lambda: not list(node.store.records.unrecorded()))


def test_a_variant_goes_through_all_pools_and_then_lies_where_nginx_looks(
    pools: Pools, node: Node, origin: Origin
) -> None:
    url = origin.serve("/a.jpg", jpeg(640, 480))
    came = pools.get("/get_thumbnail", url=url, size=200)
    assert came.way == ["front", "fetch"]
    assert (came.headers["Content-Type"], came.headers["X-Cache"]) == ("image/jpeg", "RESIZED")
    assert size(came.body) == (200, 150)
    key = Url.parse(url).key
    (name,) = [name for name in node.store.variants.names(key) if name.startswith("200x200")]
    assert (node.storage / variant_path(key, name)).read_bytes() == came.body
    came = pools.get("/get_thumbnail", url=url, size=200)
    assert (came.way, came.headers["X-Cache"]) == (["front"], "HIT")
    came = pools.get("/get_image", url=url, resize_width=64)
    assert (came.way, size(came.body)) == (["front", "fetch"], (64, 48))


def test_a_failure_is_remembered_by_all_pools(pools: Pools, origin: Origin) -> None:
    url = origin.url("/none.jpg")
    for way in (["front", "fetch"], ["front"]):
        came = pools.get("/get_image", url=url)
        assert (came.status, came.json["code"], came.way) == (404, "origin_not_found", way)
        assert 0 < int(came.headers["Retry-After"]) <= 5000
    assert origin.count("/none.jpg") == 1


def test_a_picture_that_cannot_be_decoded_is_refused_and_remembered(
    pools: Pools, origin: Origin
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    content = bytearray(file.getvalue())
    content[content.index(b"IDAT") + 10] ^= 0xFF
    url = origin.serve("/broken.png", bytes(content))
    for way in (["front", "fetch"], ["front"]):
        came = pools.get("/get_image", url=url, resize_width=10)
        assert (came.status, came.way) == (422, way)
    assert pools.get("/get_image", url=url).status == 200


def test_what_needs_a_scope_is_refused_without(pools: Pools) -> None:
    url = "http://shop.example/a.jpg"
    assert pools.ask("GET", "/get_image", token="", url=url).json["code"] == "token_missing"
    assert pools.ask("GET", "/get_image", token="x" * 30, url=url).json["code"] == "token_unknown"
    reader = pools.token_for("read")
    for method, path in (
        ("DELETE", "/delete_image"), ("GET", "/changes"), ("GET", "/metrics"),
        ("POST", "/fire_and_forget"),
    ):  # fmt: skip
        came = pools.ask(method, path, token=reader, url=url)
        assert (came.status, came.json["code"], len(came.way)) == (403, "scope_missing", 1), path


def test_a_delete_removes_the_picture_and_stands_in_the_feed(pools: Pools, origin: Origin) -> None:
    url = origin.serve("/a.jpg", jpeg(64, 48))
    pools.get("/get_image", url=url)
    came = pools.ask("DELETE", "/delete_image", url=url, block="true")
    assert came.json == {"url": url, "deleted": True, "blocked": True, "recorded": True}
    assert came.way == ["front", "control"]
    came = pools.get("/get_image", url=url)
    assert (came.status, came.json["code"]) == (410, "blocked")
    (change,) = eventually(lambda: pools.get("/changes", cursor="", wait="0").json["changes"])
    assert (change["url"], change["blocked"]) == (url, True)
    assert change["deleted_at"]


def test_a_batch_waits_in_the_database(pools: Pools, origin: Origin) -> None:
    here = origin.serve("/a.jpg", jpeg(64, 48))
    pools.get("/get_image", url=here)
    order = {"urls": [here, "http://shop.example/1.jpg", "ftp://x/"]}
    came = pools.ask("POST", "/fire_and_forget", json.dumps(order))
    assert (came.status, came.way) == (202, ["control"])
    taken = came.json
    assert (taken["accepted"], taken["already_cached"], len(taken["rejected"])) == (1, 1, 1)
    state = pools.get("/fire_and_forget", batch=taken["batch"]).json
    assert (state["waiting"], state["done"], state["total"]) == (1, 1, 2)


def test_without_a_database_pictures_are_served_all_the_same(
    tmp_path: Path, origin: Origin
) -> None:
    pools = Pools(new_node(tmp_path, database=AWAY))
    url = origin.serve("/a.jpg", content := jpeg(64, 48))
    assert pools.get("/get_image", url=url).body == content
    with Daemon(pools.nodes["fetch"].config):
        assert size(pools.get("/get_thumbnail", url=url, size=200).body) == (64, 48)
    ready = pools.get("/ready").json
    assert (ready["status"], ready["storage"]) == ("degraded", "ok")
    assert pools.get("/changes", cursor="").json["code"] == "database_unavailable"
    came = pools.ask("DELETE", "/delete_image", url=url)
    assert came.json == {"url": url, "deleted": True, "blocked": False, "recorded": False}


def test_with_a_full_storage_the_picture_itself_is_sent(tmp_path: Path, origin: Origin) -> None:
    node = new_node(tmp_path, "storage.min_free_bytes=10 TB")
    pools = Pools(node)
    url = origin.serve("/a.jpg", content := jpeg(64, 48))
    for _ in range(2):
        came = pools.get("/get_image", url=url)
        assert (came.body, came.headers["X-Cache"]) == (content, "MISS")
        assert came.way == ["front", "fetch"]
    assert node.store.originals.find(Url.parse(url).key) is None
