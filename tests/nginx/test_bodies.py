"""Bodies through real nginx: none of a stranger is read, and slow ones cost nobody but their sender."""

from __future__ import annotations

import contextlib
import http.client
import resource
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.frontdoor.client import DEADLINE_S, eventually
from tests.stack.running import Stack

STRANGERS, STRANGE_BYTES = 40, 30_000_000
SLOW = 1000
FEW = 5  # for each of nginx's processes
# Other addresses of the loopback network than the first stand for clients.
OTHER_ADDRESS = "127.0.0.9"
SETTINGS = (
    "clients.body_timeout=4 s;clients.body_total_timeout=6 s"
    f";clients.unlimited=127.0.0.1/32;clients.bodies_per_address={FEW}"
)
MIB = 2**20


@pytest.fixture(scope="module")
def strict() -> Iterator[Stack]:
    """A stack that waits only some seconds for a body."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=SETTINGS) as running,
    ):
        yield running
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def post(stack: Stack, token: str, length: int, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection on which a request to /fire_and_forget waits for `length` bytes of body."""
    return send_head(stack, f"POST /fire_and_forget?token={token}", length, source)


def send_head(stack: Stack, line: str, length: int, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = stack.listen.rpartition(":")
    client = socket.create_connection((host, int(port)), DEADLINE_S, source_address=(source, 0))
    client.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
    return client


def status(client: socket.socket) -> int:
    """Return the answer's status; it must be a whole problem document, or a success."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    body = answer.read()
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert f'"{answer.headers["X-Request-Id"]}"'.encode() in body
    return answer.status


def answered(clients: list[socket.socket]) -> list[socket.socket]:
    """Return those of `clients` that have an answer."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(0)]  # type: ignore[misc]


def batch(stack: Stack, source: str = "127.0.0.1") -> int:
    """Hand over an empty batch; return the answer's status."""
    body = b'{"urls": []}'
    with post(stack, stack.token, len(body), source) as client:
        client.sendall(body)
        return status(client)


def temporary_bytes(stack: Stack) -> int:
    """Return the size of what nginx has put aside of bodies."""
    total = 0
    for path in (stack.home / "run/nginx/temp/body").rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def memory_bytes(stack: Stack) -> int:
    """Return the resident memory of nginx's processes."""
    master = stack.pid("nginx")
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in children]
    return sum(pages) * resource.getpagesize()


def test_strangers_bodies_are_not_kept(strict: Stack) -> None:
    before = memory_bytes(strict)
    with contextlib.ExitStack() as all_of_them:
        strangers = [
            all_of_them.enter_context(post(strict, f"unknown-{number}", STRANGE_BYTES))
            for number in range(STRANGERS)
        ]
        for stranger in strangers:
            stranger.sendall(bytes(MIB))
        assert {status(stranger) for stranger in strangers} == {401}
        assert temporary_bytes(strict) == 0
        assert memory_bytes(strict) - before < 16 * MIB


@pytest.mark.parametrize(
    ("query", "expected"), [("", 401), ("?token=a&token=b", 400), ("?token={read}", 403)]
)
def test_a_refused_body_is_not_waited_for(strict: Stack, query: str, expected: int) -> None:
    if "{read}" in query:
        query = query.format(read=strict.cli("token", "add", "reader", "read").strip())
    with send_head(strict, f"POST /fire_and_forget{query}", 1000) as client:
        assert status(client) == expected


@pytest.mark.parametrize("line", ["GET /ready", "POST /delete_image?url=http://x.example/a"])
def test_a_body_that_nobody_wants_is_not_waited_for(strict: Stack, line: str) -> None:
    joint = "&" if "?" in line else "?"
    with send_head(strict, f"{line}{joint}token={strict.token}", 60_000) as client:
        assert status(client) == 200


def test_after_a_body_that_nobody_wants_comes_the_next_request(strict: Stack) -> None:
    with requests.Session() as session:
        for _ in range(2):
            answer = session.get(f"{strict.url}/ready", data=b"GET /none HTTP/1.1\r\n\r\n" * 1000)
            assert answer.status_code == 200


def test_slow_bodies_hold_nobody_up_and_are_cut(strict: Stack) -> None:
    """Each sends a byte in time, so that no pause is too long."""
    with contextlib.ExitStack() as all_of_them:
        waiting = [all_of_them.enter_context(post(strict, strict.token, SLOW)) for _ in range(SLOW)]
        assert batch(strict) == 202
        assert requests.get(f"{strict.url}/ready", timeout=DEADLINE_S).status_code == 200
        assert temporary_bytes(strict) < MIB
        statuses, deadline = set(), time.monotonic() + DEADLINE_S
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} are not cut"
            done = answered(waiting)
            statuses |= {status(client) for client in done}
            waiting = [client for client in waiting if client not in done]
            for client in waiting:
                with contextlib.suppress(OSError):  # it has just been answered
                    client.sendall(b" ")
            time.sleep(0.5)
        assert statuses == {408}


def test_one_address_sends_a_few_at_once(strict: Stack) -> None:
    with contextlib.ExitStack() as all_of_them:
        clients = [
            all_of_them.enter_context(post(strict, strict.token, SLOW, OTHER_ADDRESS))
            for _ in range(8 * FEW)
        ]
        refused = eventually(lambda: answered(clients), "one is refused")
        assert {status(client) for client in refused} == {429}
        assert batch(strict) == 202
    # They have hung up and count no more.
    eventually(lambda: batch(strict, OTHER_ADDRESS) == 202, "the next may come")


def test_all_addresses_together_send_what_the_ini_allows(strict: Stack) -> None:
    strict.start(settings=f"{SETTINGS};clients.bodies={FEW}")
    with contextlib.ExitStack() as all_of_them:
        clients = [
            all_of_them.enter_context(post(strict, strict.token, SLOW)) for _ in range(8 * FEW)
        ]
        refused = eventually(lambda: answered(clients), "one is refused")
        assert {status(client) for client in refused} == {503}
    eventually(lambda: batch(strict) == 202, "the next may come")
