"""What the tests of the guarded downloader share."""

import dataclasses
import hashlib
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image_cloud.config.sections import Download
from image_cloud.origin import Downloaded, Origin
from image_cloud.picture.url import Url
from tests import origin as wire

BODY = bytes(range(256)) * 800  # more than one read brings
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
SLOW = {
    "headers": wire.drip_headers(),
    "body": wire.drip_body(),
    "body without a length": wire.drip(wire.head(200, {}), b"x"),
    "chunks": wire.drip(CHUNKED, b"1\r\nx\r\n"),
    "chunk line": wire.drip(CHUNKED, b"0"),
    "blank lines": wire.drip(b"", b"\r\n"),
    "continue": wire.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing but an interim response": wire.raw_and_hold(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "silence": wire.silent,
    "late": wire.slow_start(30, wire.raw(b"HTTP/1.1 200 OK\r\n\r\n")),
}
"""Origins that only the watchdog ends."""


def certificate(folder: Path) -> Path:
    """Write `cert.pem` and `key.pem` of a server on this machine below `folder`; return it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=shop.example", "-addext",
         "subjectAltName=DNS:shop.example,DNS:xn--bcher-kva.example,IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


class Secure(wire.Origin):
    """An origin with TLS that remembers which names were asked for (SNI)."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls)
        self.names: list[str | None] = []


def impatient(settings: Download, **changes: Any) -> Origin:
    """Return a client whose deadlines pass soon."""
    return Origin(dataclasses.replace(settings, **{"total_timeout": 0.4, **changes}))


def fetch(client: Origin, url: str) -> tuple[Downloaded, bytes]:
    """Download `url`; return what is told about it, and its body."""
    blocks: list[bytes] = []
    told = client.download(Url.parse(url), blocks.append)
    body = b"".join(blocks)
    assert told.bytes == len(body)
    assert told.sha256 == hashlib.sha256(body).hexdigest()
    return told, body


def fetch_whole(client: Origin, url: str, whole: bytes = BODY) -> tuple[Downloaded, bytes]:
    """Download `url` with somebody who knows at each silence whether `whole` is there."""
    blocks: list[bytes] = []
    told = client.download(
        Url.parse(url), blocks.append, is_whole=lambda: b"".join(blocks) == whole
    )
    return told, b"".join(blocks)


def resolver(*addresses: str) -> Callable[..., list[Any]]:
    """Return a resolver that gives these addresses for every name."""

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        found: list[Any] = []
        for address in addresses:
            found += socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        return found

    return resolve
