"""Which addresses are dialled, and origins that are away."""

import contextlib
import dataclasses
import ipaddress
import socket
import threading
from typing import Any

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, fetch, impatient, resolver

ODD_LOOPBACK = ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.", "１２７。0.0.1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost.", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused(server: wire.Origin, settings: Download, host: str) -> None:
    strict = Origin(dataclasses.replace(settings, allow_networks=()))
    server.serve("/a", BODY)
    with pytest.raises(errors.UrlForbidden):
        fetch(strict, server.url("/a", host))
    assert server.connections == 0


@pytest.mark.parametrize("host", [*ODD_LOOPBACK, "[::ffff:127.0.0.1]"])
def test_redirect_to_an_odd_form_of_loopback(
    server: wire.Origin, settings: Download, host: str
) -> None:
    server.serve("/b", BODY)
    strict = dataclasses.replace(settings, allow_networks=(ipaddress.ip_network("127.0.0.2/32"),))
    with wire.Origin(address="127.0.0.2") as shop:
        there = server.url("/b", host).encode().decode("latin-1")
        shop.behave("/a", wire.redirect(there))
        assert fetch(Origin(settings), shop.url("/a"))[1] == BODY
        with pytest.raises(errors.UrlForbidden):
            fetch(Origin(strict), shop.url("/a"))
    assert server.connections == 1


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.1"],
        ["8.8.8.8", "169.254.169.254"],
        ["127.0.0.1", "::1"],
        ["::ffff:10.0.0.1"],
        ["fe80::1%lo"],
    ],
)
def test_all_addresses_of_a_name_must_be_allowed(
    server: wire.Origin, settings: Download, found: list[str]
) -> None:
    server.serve("/a", BODY)
    client = Origin(settings, resolve=resolver(*found))
    with pytest.raises(errors.UrlForbidden):
        fetch(client, server.url("/a", "shop.example"))
    assert server.connections == 0


@pytest.mark.parametrize(
    ("given", "looked_up", "in_the_header"),
    [
        ("Shop.Example.", "shop.example", "shop.example."),
        ("Bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("例え。テスト。", "xn--r8jz45g.xn--zckzah", "xn--r8jz45g.xn--zckzah."),
        ("i❤.example", "xn--i-7iq.example", "xn--i-7iq.example"),
        ("img_1.b%C3%BCcher.example", "img_1.xn--bcher-kva.example", "img_1.xn--bcher-kva.example"),
    ],
)
def test_the_name_that_is_looked_up_and_sent(
    server: wire.Origin, settings: Download, given: str, looked_up: str, in_the_header: str
) -> None:
    names = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        names.append(host)
        return resolver("127.0.0.1")(host, port)

    server.serve("/a", BODY)
    assert fetch(Origin(settings, resolve=resolve), server.url("/a", given))[1] == BODY
    assert names == [looked_up]
    assert server.requests[0].headers["host"] == f"{in_the_header}:{server.port}"


def test_a_name_that_changes_its_address(server: wire.Origin, settings: Download) -> None:
    """Rebinding: the second answer is private, and it is the second that would be dialled."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    def resolve(host: str, port: int, **kwargs: Any) -> list[Any]:
        return resolver(*next(answers))(host, port)

    server.behave("/a", wire.without_length(BODY))
    client = Origin(settings, resolve=resolve)
    assert fetch(client, server.url("/a", "shop.example"))[1] == BODY
    with pytest.raises(errors.UrlForbidden):
        fetch(client, server.url("/a", "shop.example"))


def test_the_next_address_is_tried(server: wire.Origin, settings: Download) -> None:
    server.serve("/a", BODY)
    client = Origin(settings, resolve=resolver("127.0.0.2", "127.0.0.1"))
    assert fetch(client, server.url("/a", "shop.example"))[1] == BODY


def test_the_sample_origin_is_one_address_and_one_port(
    server: wire.Origin, settings: Download
) -> None:
    server.serve("/a", BODY)
    one = dataclasses.replace(
        settings, allow_networks=(), sample_origin=server.sample_origin, allow_ports=(80,)
    )
    assert fetch(Origin(one), server.url("/a"))[1] == BODY
    with wire.Origin() as other, pytest.raises(errors.UrlForbidden):
        fetch(Origin(one), other.url("/a"))
    with pytest.raises(errors.UrlForbidden):
        fetch(Origin(one), server.url("/a", "127.0.0.2"))


@pytest.mark.parametrize(
    ("changes", "url", "forbidden"),
    [
        ({}, "http://shop.example:22/", True),
        ({}, "http://shop.example:8080/", False),
        ({"allow_ports": (80, 443)}, "http://shop.example:8080/", True),
        ({"allow_ports": (80, 443)}, "https://shop.example/", False),
        ({"deny_domains": ("shop.example",)}, "http://shop.example/", True),
        ({"deny_domains": ("shop.example",)}, "http://IMG.Shop.Example./", True),
        ({"deny_domains": ("shop.example",)}, "http://ｓｈｏｐ%2Eexample/", True),
        ({"deny_domains": ("xn--bcher-kva.example",)}, "http://img.Bücher.example/", True),
        ({"deny_domains": ("shop.example",)}, "http://myshop.example/", False),
        ({"allow_domains": ("shop.example",)}, "http://img.shop.example/", False),
        ({"allow_domains": ("shop.example",)}, "http://other.example/", True),
        ({"allow_domains": ("shop.example",), "deny_domains": ("img.shop.example",)},
         "http://img.shop.example/", True),
        ({}, "http://10.0.0.1/", True),
        ({}, "http://127.0.0.1/", False),
        ({}, "http://[fec0::1]/", True),
    ],
)  # fmt: skip
def test_check_knows_the_settings_and_resolves_nothing(
    settings: Download, changes: dict[str, Any], url: str, forbidden: bool
) -> None:
    def resolve(*args: Any, **kwargs: Any) -> list[Any]:
        raise AssertionError("resolved")

    client = Origin(dataclasses.replace(settings, **changes), resolve=resolve)
    with pytest.raises(errors.UrlForbidden) if forbidden else contextlib.nullcontext():
        client.check(Url.parse(url))


def test_refused(client: Origin) -> None:
    with wire.Origin() as gone:
        url = gone.url("/a")
    with pytest.raises(errors.OriginRefused):
        fetch(client, url)


def test_no_route(settings: Download) -> None:
    client = Origin(
        dataclasses.replace(settings, allow_networks=(ipaddress.ip_network("0.0.0.0/0"),))
    )
    with pytest.raises(errors.OriginRefused):
        fetch(client, "http://255.255.255.255:8080/")


@pytest.mark.parametrize(
    "failure", [socket.gaierror(-2, "no name"), UnicodeError("label too long")]
)
def test_name_that_does_not_resolve(settings: Download, failure: Exception) -> None:
    def resolve(*args: Any, **kwargs: Any) -> list[Any]:
        raise failure

    with pytest.raises(errors.OriginDns):
        fetch(Origin(settings, resolve=resolve), "http://shop.example/")


def test_name_without_an_address(settings: Download) -> None:
    with pytest.raises(errors.OriginDns):
        fetch(Origin(settings, resolve=lambda *a, **k: []), "http://shop.example/")


def test_name_server_that_hangs(settings: Download) -> None:
    release = threading.Event()
    hasty = dataclasses.replace(settings, connect_timeout=0.2)
    client = Origin(hasty, resolve=lambda *a, **k: [release.wait(60)])
    with pytest.raises(errors.OriginDns):
        fetch(client, "http://shop.example/")
    release.set()


def test_connect_timeout(settings: Download) -> None:
    """A listener whose queue is full takes no further connection and refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), pytest.raises(errors.OriginTimeout):
            fetch(impatient(settings, connect_timeout=0.3), f"http://127.0.0.1:{address[1]}/")
