"""Headers for some hosts: sent to those and to nobody else, whatever redirects say."""

import dataclasses
import ipaddress
import json
from collections.abc import Iterator

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.origin.request_headers import parse
from tests import origin as wire
from tests.fetching import BODY, Secure, fetch, resolver

CREDENTIALS = {"Authorization": "Bearer abc", "Cookie": "session=1; age=18"}
REFERER = {"Referer": "https://shop.example/"}
MINE = {"shop.example": CREDENTIALS | REFERER}


@pytest.fixture
def other() -> Iterator[wire.Origin]:
    with wire.Origin() as running:
        yield running


def client(settings: Download, content: object) -> Origin:
    headers = parse(json.dumps(content))
    return Origin(settings, ["jpeg"], headers, resolve=resolver("127.0.0.1"))


def credentials(request: wire.Request) -> dict[str, str]:
    wanted = ("authorization", "cookie", "referer")
    return {name: value for name, value in request.headers.items() if name in wanted}


def test_a_host_gets_its_headers(secure: Secure, trusting: Download) -> None:
    secure.serve("/a", BODY)
    told, _ = fetch(client(trusting, MINE), secure.url("/a", "shop.example"))
    assert credentials(secure.requests[0]) == {
        "authorization": "Bearer abc",
        "cookie": "session=1; age=18",
        "referer": "https://shop.example/",
    }
    assert told.is_private


def test_another_host_gets_none(secure: Secure, trusting: Download) -> None:
    secure.serve("/a", BODY)
    told, _ = fetch(client(trusting, MINE), secure.url("/a"))
    assert not credentials(secure.requests[0])
    assert not told.is_private


def test_a_referer_makes_nothing_private(server: wire.Origin, settings: Download) -> None:
    server.serve("/a", BODY)
    told, _ = fetch(client(settings, {"127.0.0.1": REFERER}), server.url("/a"))
    assert credentials(server.requests[0]) == {"referer": "https://shop.example/"}
    assert not told.is_private


def test_http_gets_no_credentials_unless_the_entry_says_so(
    server: wire.Origin, settings: Download
) -> None:
    server.serve("/a", BODY)
    told, _ = fetch(client(settings, MINE), server.url("/a", "shop.example"))
    assert credentials(server.requests[-1]) == {"referer": "https://shop.example/"}
    assert not told.is_private
    open_entry = {"shop.example": CREDENTIALS | {"credentials_over_http": True}}
    told, _ = fetch(client(settings, open_entry), server.url("/a", "shop.example"))
    assert credentials(server.requests[-1]).keys() == {"authorization", "cookie"}
    assert told.is_private


def test_a_redirect_takes_nothing_to_another_host(
    secure: Secure, other: wire.Origin, trusting: Download
) -> None:
    other.serve("/b", BODY)
    secure.behave("/a", wire.redirect(other.url("/b", "evil.example")))
    told, _ = fetch(client(trusting, MINE), secure.url("/a", "shop.example"))
    assert credentials(secure.requests[0])
    assert not credentials(other.requests[0])
    assert told.is_private  # the address that was told is a secret, too


def test_a_redirect_to_http_of_the_same_host_takes_no_credentials(
    secure: Secure, other: wire.Origin, trusting: Download
) -> None:
    other.serve("/b", BODY)
    secure.behave("/a", wire.redirect(other.url("/b", "shop.example")))
    fetch(client(trusting, MINE), secure.url("/a", "shop.example"))
    assert credentials(other.requests[0]) == {"referer": "https://shop.example/"}


def test_each_hop_gets_its_own(secure: Secure, trusting: Download) -> None:
    secure.serve("/b", BODY)
    secure.behave("/a", wire.redirect(secure.url("/b", "shop.example")))
    told, _ = fetch(client(trusting, MINE), secure.url("/a"))
    assert [sorted(credentials(request)) for request in secure.requests] == [
        [],
        ["authorization", "cookie", "referer"],
    ]
    assert told.is_private


def test_usual_headers_may_be_replaced(server: wire.Origin, settings: Download) -> None:
    server.serve("/a", BODY)
    content = {"127.0.0.1": {"user-agent": "Mozilla/5.0", "ACCEPT": "image/*", "X-Shop": "a  b"}}
    fetch(client(settings, content), server.url("/a"))
    assert server.requests[0].headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "Mozilla/5.0",
        "accept": "image/*",
        "accept-encoding": "identity",
        "x-shop": "a  b",
    }


def test_robots_are_told_by_the_name_that_was_sent(server: wire.Origin, settings: Download) -> None:
    server.serve("/a", BODY, headers={"X-Robots-Tag": "shopbot: noai"})
    respectful = dataclasses.replace(settings, respect_robots_tags=("noai",))
    assert fetch(client(respectful, {}), server.url("/a"))[1] == BODY
    with pytest.raises(errors.RobotsRefused):
        fetch(client(respectful, {"127.0.0.1": {"User-Agent": "ShopBot/1"}}), server.url("/a"))


def test_no_error_repeats_a_value(secure: Secure, trusting: Download) -> None:
    secure.behave("/a", wire.answer(403))
    secure.behave("/b", wire.redirect("http://10.0.0.1/"))
    narrow = dataclasses.replace(trusting, allow_networks=(ipaddress.ip_network("127.0.0.1/32"),))
    for path in ("/a", "/b"):
        with pytest.raises(errors.ImageCloudError) as caught:
            fetch(client(narrow, MINE), secure.url(path, "shop.example"))
        assert "abc" not in str(caught.value)
        assert "session" not in str(caught.value)
