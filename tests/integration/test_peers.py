"""What a peer may cost: it is reached over HTTP like a stranger."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_cloud.bulk.receiving import Samples
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Cluster
from image_cloud.errors import Busy, NotLocal, PeerAway
from image_cloud.picture.url import Url
from tests.fetching import certificate

URL = Url.parse("http://shop.example/a.jpg")
OK = b"HTTP/1.1 200 OK\r\n"
Send = Callable[[socket.socket], None]


@contextlib.contextmanager
def peer(send: Send, tls: ssl.SSLContext | None = None) -> Iterator[tuple[Peers, Peer]]:
    """Give the client of a peer that does `send` on every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = server.accept()
                    with raw, contextlib.suppress(OSError):
                        came = tls.wrap_socket(raw, server_side=True) if tls else raw
                        with came:
                            came.recv(65536)
                            send(came)

        threading.Thread(target=serve, daemon=True).start()
        scheme = "https" if tls else "http"
        there = Peer("ic01", f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        settings = dataclasses.replace(Cluster(), peers=(there,), read_timeout=1.0)
        yield Peers("ic00", settings), there
        server.shutdown(socket.SHUT_RDWR)


def drips(head: bytes, seconds: float = 60.0) -> Send:
    """Send `head`, and then a byte now and then."""

    def send(came: socket.socket) -> None:
        came.sendall(head)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            came.sendall(b"x")
            time.sleep(0.2)

    return send


def sends(answer: bytes) -> Send:
    return lambda came: came.sendall(answer)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\n",
     b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_a_dripping_404_holds_nobody(head: bytes) -> None:
    over = threading.Event()
    with peer(drips(head)) as (peers, there):

        def ask() -> None:
            with pytest.raises(NotLocal):
                peers.fetch(there, URL, lambda block: None)
            over.set()

        threading.Thread(target=ask, daemon=True).start()
        assert over.wait(60)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_dripping_head_or_error_holds_nobody(head: bytes) -> None:
    over = threading.Event()
    with peer(drips(head)) as (peers, there):

        def ask() -> None:
            with pytest.raises(PeerAway):
                peers.changes(there, "", 10, 0)
            over.set()

        threading.Thread(target=ask, daemon=True).start()
        assert over.wait(60)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a peer with a certificate that this process trusts speaks."""
    made = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "cert.pem", made / "key.pem")
    return context


def test_a_peer_over_tls_is_read(tls: ssl.SSLContext) -> None:
    answer = OK + b"Content-Length: 15\r\n\r\n" + b'{"changes": []}'
    with peer(sends(answer), tls) as (peers, there):
        assert peers.changes(there, "", 10, 0) == {"changes": []}


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_dripping_head_over_tls_holds_nobody(tls: ssl.SSLContext, head: bytes) -> None:
    over = threading.Event()
    with peer(drips(head), tls) as (peers, there):

        def ask() -> None:
            with pytest.raises(PeerAway):
                peers.changes(there, "", 10, 0)
            over.set()

        threading.Thread(target=ask, daemon=True).start()
        assert over.wait(60)


def test_a_dripping_handshake_holds_nobody() -> None:
    over = threading.Event()
    # A record of TLS that promises 16 kB.
    with peer(drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")) as (_, plain):
        there = Peer("ic01", plain.url.replace("http:", "https:"))
        settings = dataclasses.replace(Cluster(), peers=(there,), read_timeout=1.0)

        def ask() -> None:
            with pytest.raises(PeerAway):
                Peers("ic00", settings).changes(there, "", 10, 0)
            over.set()

        threading.Thread(target=ask, daemon=True).start()
        assert over.wait(60)


def test_a_feed_that_does_not_end_is_cut_off() -> None:
    taken = 0

    def send(came: socket.socket) -> None:
        nonlocal taken
        came.sendall(OK + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            taken += came.send(b" " * 65536)

    with peer(send) as (peers, there), pytest.raises(PeerAway):
        peers.changes(there, "", 10, 0)
    assert taken < 100_000_000


@pytest.mark.parametrize("stored_at", ["inf", "nan", "1e300", "253402300799", "-1", "soon"])
def test_a_copy_of_an_impossible_time_is_refused(stored_at: str) -> None:
    head = OK + f"X-Image-Cloud-Stored-At: {stored_at}\r\nX-Stored-At: {stored_at}\r\n".encode()
    with peer(sends(head + b"Content-Length: 1\r\n\r\nx")) as (peers, there):
        written: list[bytes] = []
        with pytest.raises(PeerAway, match="impossible time"):
            peers.fetch(there, URL, written.append)
        assert not written


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"changes": [' + b'{"a":' * 50_000,
        b"{}",
        b"[]",
        b'{"changes": 1e999}',
        b"\xff",
    ],
)
def test_a_feed_of_nonsense_is_an_outage(body: bytes) -> None:
    answer = OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with peer(sends(answer)) as (peers, there), pytest.raises(PeerAway):
        peers.find_record(there, URL.key)


# --- streams --------------------------------------------------------------------------------------

KEYS = [URL.key]
EMPTY = b"\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [b"404 Not Found", b"405 Method Not Allowed"])
def test_a_peer_of_before_knows_no_streams(status: bytes) -> None:
    with (
        peer(sends(b"HTTP/1.1 " + status + EMPTY)) as (peers, there),
        peers.originals(there, KEYS) as blocks,
    ):
        assert blocks is None
    assert peers.may_ask(there)


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        (b"", 1.0),
        (b"Retry-After: 7\r\n", 7.0),
        (b"Retry-After: 99999\r\n", 30.0),
        (b"Retry-After: nan\r\n", 1.0),
        (b"Retry-After: x\r\n", 1.0),
    ],
)
def test_a_busy_peer_says_when_to_come_again(said: bytes, waits: float) -> None:
    answer = b"HTTP/1.1 503 Busy\r\n" + said + b"Content-Length: 0\r\n\r\n"
    with peer(sends(answer)) as (peers, there):
        with pytest.raises(Busy) as busy, peers.originals(there, KEYS):
            pass
        assert busy.value.retry_after_s == waits
        assert peers.may_ask(there)


def test_a_stream_that_stops_is_the_end_of_it() -> None:
    with (
        peer(drips(OK + b"\r\n", seconds=0.1)) as (peers, there),
        pytest.raises(PeerAway),
        peers.originals(there, KEYS) as blocks,
    ):
        assert blocks
        list(Samples(blocks, KEYS, "ic01", wanted_bytes=10, most_bytes=10))
    assert peers.is_away(there)


def test_a_peer_that_refuses_is_away() -> None:
    with (
        peer(sends(b"HTTP/1.1 403 No" + EMPTY)) as (peers, there),
        pytest.raises(PeerAway, match="403"),
        peers.originals(there, KEYS),
    ):
        pass
