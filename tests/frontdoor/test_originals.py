"""POST /originals through nginx: who may ask, for what, and readers that take nothing."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import time
from typing import Any

import pytest
import requests

from image_cloud.picture.key import key_of
from tests.frontdoor.client import get, jpeg
from tests.origin import Origin
from tests.stack.running import Stack


def ask(stack: Stack, body: bytes, method: str = "POST", token: str = "") -> requests.Response:
    headers = {"X-Image-Cloud-Token": token or stack.token}
    return requests.request(
        method, f"{stack.url}/originals", data=body, headers=headers, timeout=60
    )


def stored(stack: Stack, origin: Origin, name: str, content: bytes) -> str:
    url = origin.serve(name, content)
    assert get(stack, "/get_image", url=url).status_code == 200
    return url


def test_a_peer_gets_many_originals_in_one_answer(stack: Stack, origin: Origin) -> None:
    contents = [jpeg(64, 48, seed=number) + bytes(400_000 * number) for number in range(4)]
    urls = [
        stored(stack, origin, f"/stream{number}.jpg", content)
        for number, content in enumerate(contents)
    ]
    missing = key_of("http://shop.example/never")
    keys = [key_of(urls[0]), missing, *map(key_of, urls[1:])]
    answer = ask(stack, "\n".join(keys).encode())
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-tar")
    assert answer.headers["Cache-Control"] == "no-store"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = tar.getnames()
        files: dict[str, Any] = {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    assert names[2:] == [f"{missing}.json", *names[3:]]
    assert json.loads(files[f"{missing}.json"]) == {"absent": True}
    for url, content in zip(urls, contents, strict=True):
        told = json.loads(files[f"{key_of(url)}.json"])
        assert (told["url"], told["sha256"]) == (url, hashlib.sha256(content).hexdigest())
        assert files[f"{key_of(url)}.jpg"] == content


KEY = key_of("http://shop.example/a.jpg")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_body"),
        (b"../../etc/passwd", 400, "bad_body"),
        (f"{KEY}\n{KEY}".encode(), 400, "bad_body"),
        (b"\n".join(f"{n:064x}".encode() for n in range(1001)), 400, "bad_body"),
        (b"0" * 70_000, 413, "request_too_large"),
    ],
)
def test_what_cannot_be_is_refused(stack: Stack, body: bytes, status: int, code: str) -> None:
    answer = ask(stack, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_peers_may_ask(stack: Stack) -> None:
    reader = json.loads(stack.cli("token", "add", "stream-reader", "read", "ops", "--json"))[
        "token"
    ]
    answer = ask(stack, KEY.encode(), token=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert ask(stack, KEY.encode(), token="x" * 40).status_code == 401
    answer = ask(stack, b"", "GET")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_readers_that_take_nothing_hold_neither_pictures_nor_the_feed_up(
    stack: Stack, origin: Origin
) -> None:
    """As many as there are places for streams: whoever comes then is told to come again."""
    url = stored(stack, origin, "/large.jpg", jpeg(64, 48, seed=9) + bytes(16_000_000))
    host, port = stack.listen.split(":")
    request = (
        f"POST /originals HTTP/1.1\r\nHost: {stack.listen}\r\nContent-Length: 64\r\n"
        f"X-Image-Cloud-Token: {stack.token}\r\n\r\n{key_of(url)}"
    ).encode()
    dead = []
    try:
        deadline = time.monotonic() + 20
        while (busy := ask(stack, key_of(url).encode())).status_code == 200:
            assert time.monotonic() < deadline
            # We may have had the last place while one of the dead came, which was refused then.
            dead.append(socket.create_connection((host, int(port)), 10))
            dead[-1].sendall(request)
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
        assert float(busy.headers["Retry-After"]) >= 1
        assert get(stack, "/get_image", url=url).status_code == 200
        assert get(stack, "/changes", limit="1").status_code == 200
        assert get(stack, "/node_status").status_code == 200
    finally:
        for one in dead:
            one.close()
    deadline = time.monotonic() + 20
    while ask(stack, key_of(url).encode()).status_code != 200:
        assert time.monotonic() < deadline, "the places of dead readers are not given back"
        time.sleep(0.1)
