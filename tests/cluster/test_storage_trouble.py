"""A storage that several nodes share falls silent, dies, is read-only, or is not mounted."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from image_cloud.picture.key import key_of
from tests.cluster import fuse
from tests.cluster.fuse import Served
from tests.cluster.nodes import SETTINGS, eventually
from tests.frontdoor.client import get, jpeg, problem
from tests.origin import Gate, Origin
from tests.stack.running import Refused, Stack

ANSWERED_S = 45.0  # on a busy machine; nginx itself would wait longer
pytestmark = pytest.mark.skipif(bool(fuse.why_not()), reason=fuse.why_not())
_numbers = itertools.count(100)


class Node:
    """A node with its originals on a mount, and its variants on a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.storage = Served(folder / "behind", folder / "storage")
        own = {
            "storage.path": str(folder / "storage"),
            "storage.variants_path": str(folder / "home/variants"),
            "storage.unstored_keep": "0 s",
            "cluster.shared_storage": "true",
        }
        text = ";".join(f"{name}={value}" for name, value in {**SETTINGS, **own}.items())
        self.stack = Stack(folder / "home", settings=text)

    def ready(self) -> str:
        """Return what /ready says of the storage."""
        return str(get(self.stack, "/ready").json()["storage"])


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with tempfile.TemporaryDirectory(prefix="ic-trouble-") as folder:
        Path(folder).chmod(0o755)
        node = Node(Path(folder))
        with node.storage, node.stack:
            yield node


@contextlib.contextmanager
def silent(storage: Served) -> Iterator[None]:
    storage.pause()
    try:
        yield
    finally:
        storage.resume()


@contextlib.contextmanager
def dead(storage: Served) -> Iterator[None]:
    storage.kill()
    try:
        yield
    finally:
        storage.take_away()
        storage.mount()


@contextlib.contextmanager
def taken_away(storage: Served) -> Iterator[None]:
    storage.take_away()
    try:
        yield
    finally:
        assert not list(storage.path.rglob("*.jpg")), "written below the mount"
        storage.mount()


@contextlib.contextmanager
def read_only(storage: Served) -> Iterator[None]:
    """Not remounted: the kernel refuses that while a file is open to be written, as the audit's lock is."""
    storage.take_away()
    storage.mount("ro")
    try:
        yield
    finally:
        storage.take_away()
        storage.mount()


def served(origin: Origin) -> str:
    """Return the address of a picture that nobody has asked for."""
    number = next(_numbers)
    return origin.serve(f"/{number}.jpg", jpeg(320, 240, seed=number))


def stored(node: Node, origin: Origin) -> str:
    """Return one that is stored, recorded, and has a thumbnail."""
    url = served(origin)
    assert get(node.stack, "/get_thumbnail", url=url).status_code == 200
    known = f"select count(*) from images where url = '{url}'"
    eventually(lambda: node.stack.psql(known) == "1\n", "recorded")
    return url


def answered(ask: Callable[[], requests.Response], count: int = 1) -> list[requests.Response]:
    """Return the answers to some requests at once, none of which waits for long."""
    answers: list[requests.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(count)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWERED_S)
    assert time.monotonic() - began < ANSWERED_S, "a request hangs"
    return answers


def test_a_start_does_not_wait_for_a_silent_storage(node: Node) -> None:
    node.stack.stop()
    try:
        with silent(node.storage), pytest.raises(Refused, match="does not answer"):
            node.stack.start()
    finally:
        node.stack.start()
    assert node.ready() == "ok"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(silent, "does not answer"), (dead, "Transport endpoint"), (taken_away, "is not there")],
)
def test_stored_ones_wait_new_ones_pass_through_and_thumbnails_are_answered(
    node: Node,
    origin: Origin,
    trouble: Callable[[Served], contextlib.AbstractContextManager[None]],
    said: str,
) -> None:
    url, stack = stored(node, origin), node.stack
    with trouble(node.storage):
        for answer in answered(lambda: get(stack, "/get_image", url=url), 8):
            told = problem(answer, 503, "storage_unavailable")
            assert said in told["detail"]
            assert int(answer.headers["Retry-After"]) >= 1
        new = served(origin)
        for path in ("/get_image", "/get_thumbnail"):
            (answer,) = answered(functools.partial(get, stack, path, url=new))
            assert (answer.status_code, answer.headers["X-Cache"][:4] != "HIT") == (200, True)
        (answer,) = answered(lambda: get(stack, "/get_thumbnail", url=url))
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "HIT")
        (answer,) = answered(lambda: get(stack, "/delete_image", "DELETE", url=url))
        problem(answer, 503, "storage_unavailable")
        (answer,) = answered(lambda: get(stack, "/pages/cloning"))
        assert answer.status_code in (200, 503)
        eventually(lambda: said in node.ready(), f"/ready says: {said}", ANSWERED_S)
    eventually(lambda: get(stack, "/get_image", url=url).status_code == 200, "back", ANSWERED_S)
    eventually(lambda: node.ready() == "ok", "/ready says so", ANSWERED_S)
    assert get(stack, "/get_image", url=new).headers["X-Cache"] == "MISS"
    assert get(stack, "/get_image", url=new).headers["X-Cache"] == "HIT"
    failed = [
        path.name
        for path in (stack.home / "log").glob("*.log")
        if "step_failed" in path.read_text()
    ]
    assert not failed, "a daemon waits for its storage without a traceback"


def test_a_storage_that_falls_silent_while_a_picture_is_on_its_way(
    node: Node, origin: Origin
) -> None:
    """The picture has come, and nothing of it stays that is not stored."""
    gate = Gate(lambda call: call.reply(jpeg(320, 240, seed=99)))
    url, stack = origin.behave("/silent.jpg", gate), node.stack
    near = stack.home / "variants"
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(get, stack, "/get_thumbnail", url=url)
        gate.await_arrival(ANSWERED_S)
        with silent(node.storage):
            gate.open()
            answer = asked.result(ANSWERED_S)
            assert (answer.status_code, answer.headers["X-Cache"]) == (200, "RESIZED")
            eventually(lambda: not os.listdir(near / "arriving"), "given up", ANSWERED_S)
            assert not list((near / "variants").rglob(f"{key_of(url)}/*.jpg"))
    eventually(
        lambda: get(stack, "/get_thumbnail", url=url).headers.get("X-Cache") == "HIT",
        "stored",
        ANSWERED_S,
    )


def test_a_read_only_storage_sends_what_it_has(node: Node, origin: Origin) -> None:
    url, new, stack = stored(node, origin), served(origin), node.stack
    with read_only(node.storage):
        eventually(
            lambda: get(stack, "/get_image", url=url).headers.get("X-Cache") == "HIT", "sent"
        )
        for _ in range(2):
            assert get(stack, "/get_image", url=new).headers["X-Cache"] == "MISS"
        assert get(stack, "/get_thumbnail", url=url, size=250).status_code == 200
        eventually(lambda: "Read-only" in node.ready(), "/ready says so", ANSWERED_S)
    eventually(lambda: node.ready() == "ok", "writable again", ANSWERED_S)


def test_originals_that_a_pool_sends_are_as_those_of_nginx(node: Node, origin: Origin) -> None:
    url, stack = stored(node, origin), node.stack
    content = jpeg(320, 240, seed=next(_numbers) - 1)

    def ask(method: str = "GET", **headers: str) -> requests.Response:
        return get(stack, "/get_image", method, url=url, headers=headers)

    whole = ask()
    assert (whole.status_code, whole.content, whole.headers["X-Cache"]) == (200, content, "HIT")
    assert whole.headers["Content-Type"] == "image/jpeg"
    head = ask("HEAD")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(content)))
    part = ask(Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, content[10:20])
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    assert ask(**{"If-None-Match": tag}).status_code == 304
    assert ask(**{"If-Modified-Since": date}).status_code == 304
    assert ask(**{"If-None-Match": '"other"'}).status_code == 200
    problem(ask(**{"If-Match": '"other"'}), 412, "precondition_failed")
    problem(ask(Range="bytes=9999999-"), 416, "range_not_satisfiable")


def test_a_new_original_is_sent_as_one_that_is_stored(node: Node, origin: Origin) -> None:
    """From the node's own disk: ranges, HEAD and conditions."""
    stack = node.stack
    tests: list[tuple[str, dict[str, str], int]] = [
        ("GET", {}, 200),
        ("GET", {"Range": "bytes=10-19"}, 206),
        ("HEAD", {}, 200),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"If-Match": '"other"'}, 412),
    ]
    for method, headers, status in tests:
        url = served(origin)
        new, there = (get(stack, "/get_image", method, url=url, headers=headers) for _ in range(2))
        assert (new.status_code, there.status_code) == (status, status)
        if status < 400:
            assert (new.headers["X-Cache"], there.headers["X-Cache"]) == ("MISS", "HIT")
            assert new.content == there.content
        for name in ("ETag", "Last-Modified", "Content-Range", "Content-Length", "Cache-Control"):
            assert new.headers.get(name) == there.headers.get(name) or status >= 400, name
    assert not list((stack.home / "variants/incoming").glob(".copy-*"))
