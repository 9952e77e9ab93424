"""Clients that ask for too much, or too slowly, and TLS: through real nginx."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.frontdoor.client import eventually
from tests.stack.running import Refused, Stack, free_port

TIMEOUT_S = 60.0
MANY = 30
LIMITS = (
    "clients.unlimited=;clients.header_timeout=1 s;clients.body_timeout=3 s;clients.connections=4"
    ";clients.rate=1;clients.burst=5;clients.rate_without_token=1;clients.burst_without_token=5"
)


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    """A stack that is strict with clients, loopback included."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=LIMITS) as running,
    ):
        yield running


def connect(stack: Stack) -> socket.socket:
    host, _, port = stack.listen.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


def unfinished_post(stack: Stack) -> socket.socket:
    """Return a connection with a request of which nginx has all but the body's end."""
    client = connect(stack)
    head = f"POST /fire_and_forget HTTP/1.1\r\nHost: x\r\nX-Image-Cloud-Token: {stack.token}\r\n"
    client.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    return client


def is_closed(client: socket.socket) -> bool:
    """Wait until the server gives up; say whether it did so without an answer of success."""
    with contextlib.suppress(ConnectionResetError):
        return b" 200 " not in client.recv(1000)
    return True


def refused(answer: requests.Response) -> bool:
    """Say whether an answer is a 429, which must then be complete."""
    if answer.status_code != 429:
        return False
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["code"] == "too_many_requests"
    return True


def sample(stack: Stack) -> dict[str, str]:
    return {"url": f"http://{(stack.home / 'sample_origin').read_text().strip()}/badge.png"}


def thumbnail(stack: Stack, session: requests.Session) -> requests.Response:
    return session.get(f"{stack.url}/get_thumbnail", params=sample(stack), timeout=TIMEOUT_S)


def session_with(token: str) -> requests.Session:
    session = requests.Session()
    session.headers["X-Image-Cloud-Token"] = token
    return session


def test_a_head_that_drips_is_cut_off(limited: Stack) -> None:
    with connect(limited) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert is_closed(client)


def test_a_body_that_stands_still_is_cut_off(limited: Stack) -> None:
    with unfinished_post(limited) as client:
        assert is_closed(client)


def test_a_large_body_is_refused_where_none_is_wanted(limited: Stack) -> None:
    answer = requests.post(f"{limited.url}/get_image", data=b"x" * 100_000, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_too_many_requests_at_the_same_time(limited: Stack) -> None:
    def too_many() -> bool:
        with contextlib.ExitStack() as clients:
            for _ in range(4):
                clients.enter_context(unfinished_post(limited))
            return refused(requests.get(f"{limited.url}/get_image", timeout=TIMEOUT_S))

    eventually(too_many, "one too many")
    # Health must be told even then.
    with contextlib.ExitStack() as clients:
        for _ in range(6):
            clients.enter_context(unfinished_post(limited))
        assert requests.get(f"{limited.url}/ready", timeout=TIMEOUT_S).status_code == 200


def test_an_address_without_a_good_token_is_limited(limited: Stack) -> None:
    with requests.Session() as session:
        answers = [
            session.get(f"{limited.url}/get_image", headers=headers, timeout=TIMEOUT_S)
            for number in range(MANY)
            for headers in ({}, {"X-Image-Cloud-Token": f"made up {number}"})
        ]
        assert sum(map(refused, answers)) > MANY
        assert {answer.status_code for answer in answers} <= {401, 429}
        for path in ("/health", "/ready"):
            healthy = [session.get(limited.url + path, timeout=TIMEOUT_S) for _ in range(MANY)]
            assert {answer.status_code for answer in healthy} == {200}


def test_each_token_is_limited_by_itself(limited: Stack) -> None:
    first = session_with(limited.token)
    second = session_with(limited.cli("token", "add", "second", "read").strip())
    # Until nginx has seen that a token reads, it counts for the address.
    eventually(lambda: thumbnail(limited, first).ok, "the first token is known")
    eventually(lambda: thumbnail(limited, second).ok, "the second token is known")

    def first_alone() -> bool:
        eventually(lambda: thumbnail(limited, second).ok, "the second has paused")
        answers = [thumbnail(limited, first) for _ in range(MANY)]
        others = [thumbnail(limited, second)]
        return any(map(refused, answers)) and not any(map(refused, others))

    eventually(first_alone, "the first is refused, the second is not")


def test_a_hot_picture_counts_too(limited: Stack) -> None:
    with session_with(limited.token) as session:
        eventually(
            lambda: any(refused(thumbnail(limited, session)) for _ in range(MANY)), "refused"
        )


# --- TLS -----------------------------------------------------------------------------------------


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 with its key beside it, readable by the stack's group."""
    folder.mkdir(exist_ok=True)
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", *files],
        check=True, capture_output=True,
    )  # fmt: skip
    if os.geteuid() == 0:
        shutil.chown(folder / "key.pem", group=folder.parent.stat().st_gid)
    (folder / "key.pem").chmod(0o640)
    return folder / "certificate.pem"


def tls_settings(folder: Path, port: int) -> str:
    files = f"clients.tls_certificate={folder}/certificate.pem;clients.tls_key={folder}/key.pem"
    return f"clients.tls_listen=127.0.0.1:{port};{files}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that the run user cannot read")
def test_a_key_that_nginx_cannot_read_is_named(limited: Stack, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    stack = Stack(tmp_path / "home", settings=tls_settings(tmp_path, free_port()))
    with pytest.raises(Refused, match=r"\[clients\] tls_(certificate|key) = .*cannot read it"):
        stack.start()


def test_tls_and_a_renewed_certificate(limited: Stack) -> None:
    port, folder = free_port(), limited.home / "tls"
    certificate = make_certificate(folder)
    limited.start(settings=tls_settings(folder, port))
    url = f"https://127.0.0.1:{port}"
    with session_with(limited.token) as session:
        answer = session.get(
            f"{url}/get_thumbnail",
            params=sample(limited),
            verify=str(certificate),
            timeout=TIMEOUT_S,
        )
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert negotiated(port, certificate) == ("TLSv1.3", "h2")
    plain = requests.get(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT_S)
    assert (plain.status_code, plain.json()["code"]) == (400, "bad_request")
    before = ssl.get_server_certificate(("127.0.0.1", port))
    make_certificate(folder)
    limited.supervisorctl("signal", "HUP", "nginx")
    eventually(
        lambda: ssl.get_server_certificate(("127.0.0.1", port)) != before, "the new certificate"
    )


def negotiated(port: int, certificate: Path) -> tuple[str | None, str | None]:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        return wrapped.version(), wrapped.selected_alpn_protocol()
