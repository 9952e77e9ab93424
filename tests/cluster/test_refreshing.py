"""Pictures that change at their origins: a check on one node is one for all."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.cluster.nodes import Node, Nodes, eventually
from tests.frontdoor.client import jpeg, tag_of
from tests.origin import Origin, Versions

OLD, NEW = jpeg(200, 150, seed=21), jpeg(160, 120, seed=22)


def refresh(node: Node, url: str) -> dict[str, Any]:
    answer = node.ask("/refresh_image", "POST", url=url)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def row(node: Node, url: str, columns: str) -> str:
    return node.psql(f"select {columns} from images where url = '{url}'").strip()


@pytest.fixture
def shop() -> Versions:
    return Versions(OLD, ETag='"1"')


def spread(nodes: Nodes, origin: Origin, shop: Versions, path: str) -> str:
    """Have the picture, and a thumbnail of it, on every node."""
    url = origin.behave(path, shop)
    assert nodes["ic02"].get(url).content == OLD
    eventually(lambda: all(node.has(url) for node in nodes), "the picture is everywhere")
    for node in nodes:
        assert node.ask("/get_thumbnail", url=url, size=100).status_code == 200
    return url


def test_a_changed_picture_is_new_everywhere(nodes: Nodes, origin: Origin, shop: Versions) -> None:
    url = spread(nodes, origin, shop, "/changed.jpg")
    small = nodes["ic00"].ask("/get_thumbnail", url=url, size=100)
    shop.put(NEW, ETag='"2"')
    assert refresh(nodes["ic01"], url)["changed"]

    def is_new(node: Node) -> bool:
        return node.get(url).headers["ETag"] == tag_of(NEW)

    eventually(lambda: all(map(is_new, nodes)), "the new one is everywhere")
    for node in nodes:
        assert (
            node.ask("/get_thumbnail", url=url, size=100).headers["ETag"] != small.headers["ETag"]
        )
        assert row(node, url, "etag") == '"2"'
    assert len({node.get(url).headers["Last-Modified"] for node in nodes}) == 1
    assert shop.sent == [200, 200]
    assert not refresh(nodes["ic03"], url)["changed"]  # its validators came along
    assert shop.sent == [200, 200, 304]


def test_a_304_reaches_the_peers_and_is_no_news_of_theirs(
    nodes: Nodes, origin: Origin, shop: Versions
) -> None:
    url = spread(nodes, origin, shop, "/same.jpg")
    eventually(lambda: all(row(node, url, "sha256") for node in nodes), "it is recorded")
    places = {node.name: row(node, url, "change") for node in nodes if node.name != "ic03"}
    checked_at = refresh(nodes["ic03"], url)["checked_at"]
    eventually(
        lambda: all(row(node, url, "checked_at is not null") == "t" for node in nodes),
        "every node knows",
    )
    for node in nodes:
        told = node.ask("/explain", url=url, local="true").json()
        assert told["checked_at"] == pytest.approx(checked_at, abs=0.01)
        assert told["differences"] == []
        assert node.get(url, max_age=60).headers["X-Cache"] == "HIT"
    assert shop.sent == [200, 304]
    assert places == {name: row(nodes[name], url, "change") for name in places}
    assert {node.backlog() for node in nodes} == {0}


def test_two_nodes_at_once_end_with_one_version(
    nodes: Nodes, origin: Origin, shop: Versions
) -> None:
    url = spread(nodes, origin, shop, "/twice.jpg")
    shop.put(NEW, ETag='"2"')
    threads = [
        threading.Thread(target=refresh, args=(nodes[name], url)) for name in ("ic00", "ic01")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    def stamps() -> set[tuple[str, ...]]:
        answers = [node.get(url).headers for node in nodes]
        return {(one["ETag"], one["Last-Modified"]) for one in answers}

    eventually(lambda: len(stamps()) == 1, "all have the same")
    assert {tag for tag, _ in stamps()} == {tag_of(NEW)}
    eventually(lambda: len({row(node, url, "stored_at") for node in nodes}) == 1, "rows, too")


def test_changed_during_a_clone(nodes: Nodes, origin: Origin, shop: Versions) -> None:
    url = origin.behave("/cloned.jpg", shop)
    with nodes["ic03"].without("image-cloud-peer-clone"):
        assert nodes["ic02"].get(url).content == OLD
        eventually(lambda: nodes["ic02"].is_counted(url), "it is recorded")
        shop.put(NEW, ETag='"2"')
        assert refresh(nodes["ic02"], url)["changed"]
    eventually(lambda: nodes["ic03"].has(url), "it is cloned")
    eventually(
        lambda: all(node.get(url).headers["ETag"] == tag_of(NEW) for node in nodes),
        "the new one is everywhere",
    )
    assert shop.sent == [200, 200]
