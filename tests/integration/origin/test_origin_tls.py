"""Origins with TLS."""

import dataclasses
import socket
import threading

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from tests import origin as wire
from tests.fetching import BODY, SLOW, Secure, fetch, impatient, resolver


def test_tls_with_a_trusted_certificate(secure: Secure, trusting: Download) -> None:
    secure.serve("/a", BODY)
    client = Origin(trusting, resolve=resolver("127.0.0.1"))
    for _ in range(2):
        told, body = fetch(client, secure.url("/a", "shop.example"))
        assert (body, told.length_known) == (BODY, True)
    assert fetch(client, secure.url("/a"))[1] == BODY
    assert secure.names == ["shop.example", None]
    assert secure.connections == 2


def test_tls_with_an_internationalized_name(secure: Secure, trusting: Download) -> None:
    secure.serve("/a", BODY)
    client = Origin(trusting, resolve=resolver("127.0.0.1"))
    assert fetch(client, secure.url("/a", "Bücher.example."))[1] == BODY
    assert secure.names == ["xn--bcher-kva.example"]
    assert secure.requests[0].headers["host"] == f"xn--bcher-kva.example.:{secure.port}"


def test_tls_with_an_unknown_certificate(secure: Secure, client: Origin) -> None:
    with pytest.raises(errors.OriginTls, match="self-signed"):
        fetch(client, secure.url("/a"))
    assert not secure.requests


def test_tls_with_the_certificate_of_another_host(secure: Secure, trusting: Download) -> None:
    client = Origin(trusting, resolve=resolver("127.0.0.1"))
    with pytest.raises(errors.OriginTls):
        fetch(client, secure.url("/a", "other.example"))


def test_tls_with_a_server_that_speaks_none(client: Origin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                sock.recv(65536)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(errors.OriginTls):
            fetch(client, f"https://127.0.0.1:{listener.getsockname()[1]}/")


def test_tls_refuses_a_private_address_before_it_connects(
    secure: Secure, trusting: Download
) -> None:
    client = Origin(dataclasses.replace(trusting, allow_networks=()), resolve=resolver("127.0.0.1"))
    with pytest.raises(errors.UrlForbidden):
        fetch(client, secure.url("/a", "shop.example"))
    assert secure.connections == 0


@pytest.mark.parametrize("kind", ["headers", "body", "silence"])
def test_a_deadline_ends_tls_too(secure: Secure, trusting: Download, kind: str) -> None:
    secure.behave("/a", SLOW[kind])
    with pytest.raises(errors.OriginTimeout):
        fetch(impatient(trusting), secure.url("/a"))


def test_a_tls_handshake_that_hangs(settings: Download) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(errors.OriginTimeout):
            fetch(impatient(settings), url)


def test_redirects_from_tls_to_plain(
    secure: Secure, server: wire.Origin, trusting: Download
) -> None:
    server.serve("/b", BODY)
    secure.behave("/a", wire.redirect(server.url("/b")))
    assert fetch(Origin(trusting), secure.url("/a"))[1] == BODY
