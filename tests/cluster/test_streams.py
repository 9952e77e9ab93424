"""A backlog comes in streams, whoever dies in the middle, and deletes win over them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from image_cloud.picture.key import key_of
from tests.cluster.nodes import NAMES, Node, Nodes, eventually
from tests.cluster.test_healing import flip_a_byte
from tests.frontdoor.client import jpeg

COUNT = 300
SIZE = 40_000
fillings = itertools.count(1)

STAMPS = "select key, stored_at from images where url like '%streams.example%' order by key"

Urls = list[str]


@contextlib.contextmanager
def backlog(nodes: Nodes, folder: Path) -> Iterator[Urls]:
    """Import pictures at ic00 while no other node clones; they begin when this ends."""
    number = next(fillings)
    urls = [f"http://streams.example/{number}/{one}.jpg" for one in range(COUNT)]
    with tarfile.open(folder / "pictures.tar", "w") as tar:
        for one, url in enumerate(urls):
            content = jpeg(64, 48, seed=one) + bytes([number, one % 256]) * (SIZE // 2)
            add(tar, f"{one}.jpg", content)
            add(tar, f"{one}.json", json.dumps({"url": url, "stored_at": time.time()}).encode())
    with contextlib.ExitStack() as stopped:
        for name in NAMES[1:]:
            stopped.enter_context(nodes[name].without("image-cloud-peer-clone"))
        nodes["ic00"].cli("import", str(folder / "pictures.tar"))
        yield urls


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def log_of(node: Node) -> str:
    return (node.home / "log/image-cloud-peer-clone.log").read_text()


def streamed(node: Node) -> int:
    """Return how many pictures have come to a node in streams."""
    lines = (line for line in log_of(node).splitlines() if "event=streamed" in line)
    return sum(int(line.partition("pictures=")[2].split()[0]) for line in lines)


def has_all(node: Node, urls: Urls) -> bool:
    return set(map(key_of, urls)) <= set(node.tables())


def agree(nodes: Nodes, urls: Urls) -> None:
    """Assert that disk and catalogue of every node say the same, and nothing is left to do."""
    keys = set(map(key_of, urls))
    wanted = {key: sha256 for key, sha256 in nodes["ic00"].tables().items() if key in keys}
    assert set(wanted) == keys
    for node in nodes:
        rows = {key: sha256 for key, sha256 in node.tables().items() if key in keys}
        files = {
            key: hashlib.sha256(content).hexdigest()
            for key, content in node.files().items() if key in keys
        }  # fmt: skip
        assert rows == files == wanted, node.name
        eventually(lambda node=node: node.backlog() == 0, "nothing waits")  # type: ignore[misc]
        eventually(
            lambda node=node: not list((node.home / "storage/unrecorded").glob("*.json")),  # type: ignore[misc]
            "every note is settled",
        )


def test_a_backlog_comes_in_streams_and_an_empty_node_is_refilled(
    nodes: Nodes, tmp_path: Path
) -> None:
    before = {node.name: streamed(node) for node in nodes}
    with backlog(nodes, tmp_path) as urls:
        pass
    eventually(lambda: all(has_all(node, urls) for node in nodes), "all have all")
    agree(nodes, urls)
    for name in NAMES[1:]:
        eventually(
            lambda name=name: streamed(nodes[name]) - before[name] > COUNT / 3,  # type: ignore[misc]
            "many came in streams",
        )
    assert len({node.psql(STAMPS) for node in nodes}) == 1
    empty = nodes["ic03"]
    empty.kill()
    empty.wipe()
    (empty.home / "log/image-cloud-peer-clone.log").unlink()
    nodes.start("ic03")
    eventually(lambda: empty.tables() == nodes["ic00"].tables(), "it is full")
    agree(nodes, urls)
    eventually(lambda: streamed(empty) > COUNT / 3, "many came in streams")


def test_a_follower_that_is_killed_again_and_again_loses_nothing(
    nodes: Nodes, tmp_path: Path
) -> None:
    with backlog(nodes, tmp_path) as urls:
        pass
    victim = nodes["ic02"]
    for share in (0.0, 0.2, 0.5):
        eventually(
            lambda share=share: len(set(map(key_of, urls)) & set(victim.files())) > share * COUNT,  # type: ignore[misc]
            "it is under way",
        )
        victim.supervisorctl("signal", "KILL", "image-cloud-peer-clone")
    eventually(lambda: all(has_all(node, urls) for node in nodes), "all have all")
    agree(nodes, urls)


def test_a_source_that_is_killed_is_gone_on_with(nodes: Nodes, tmp_path: Path) -> None:
    with backlog(nodes, tmp_path) as urls:
        pass
    keys = set(map(key_of, urls))
    eventually(lambda: keys & set(nodes["ic01"].files()), "it is under way")
    nodes["ic00"].kill()
    nodes.start("ic00")
    eventually(lambda: all(has_all(node, urls) for node in nodes), "all have all")
    agree(nodes, urls)


def test_a_network_that_hangs_in_the_middle_is_gone_on_with(nodes: Nodes, tmp_path: Path) -> None:
    with backlog(nodes, tmp_path) as urls:
        pass
    keys = set(map(key_of, urls))
    eventually(lambda: keys & set(nodes["ic03"].files()), "it is under way")
    nodes.links.cut(["ic00"], NAMES[1:])
    cut = nodes["ic03"]
    eventually(lambda: "event=peer_away peer=ic00" in log_of(cut), "it is noticed")
    nodes.links.heal()
    eventually(lambda: all(has_all(node, urls) for node in nodes), "all have all")
    agree(nodes, urls)


def test_what_is_deleted_during_a_stream_stays_deleted(nodes: Nodes, tmp_path: Path) -> None:
    with backlog(nodes, tmp_path) as urls:
        pass
    deleted, kept = urls[::10], [url for url in urls if url not in urls[::10]]
    for url in deleted:
        nodes["ic00"].delete(url)
    eventually(lambda: all(has_all(node, kept) for node in nodes), "the others are everywhere")
    eventually(lambda: not any(node.backlog() for node in nodes), "nothing waits")
    agree(nodes, kept)
    gone = set(map(key_of, deleted))
    for node in nodes:
        eventually(
            lambda node=node: not gone & (set(node.tables()) | set(node.files())),  # type: ignore[misc]
            "they are gone",
        )


def test_a_damaged_original_is_not_passed_on(nodes: Nodes, tmp_path: Path) -> None:
    with backlog(nodes, tmp_path) as urls, nodes["ic00"].without("image-cloud-janitor"):
        good = nodes["ic00"].original(urls[5]).read_bytes()
        flip_a_byte(nodes["ic00"].original(urls[5]))
        for name in NAMES[1:]:
            nodes[name].supervisorctl("start", "image-cloud-peer-clone")
        others = [url for url in urls if url != urls[5]]
        eventually(
            lambda: all(has_all(node, others) for node in nodes), "the others are everywhere"
        )
        assert not any(nodes[name].files().get(key_of(urls[5])) for name in NAMES[1:])
        nodes["ic00"].original(urls[5]).write_bytes(good)
    eventually(lambda: all(has_all(node, urls) for node in nodes), "mended, it comes, too")
    agree(nodes, urls)
