"""The guarded downloader against a real origin on loopback that misbehaves in every way."""

import contextlib
import dataclasses
import datetime
import email.utils
import hashlib
import ipaddress
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Downloaded, Origin
from image_cloud.origin.connections import Exchange
from image_cloud.origin.watchdog import Deadline, watchdog
from image_cloud.picture.url import Url
from tests import origin as wire

BODY = bytes(range(256)) * 800  # several blocks, and not a whole number of them


@pytest.fixture
def server() -> Iterator[wire.Origin]:
    with wire.Origin() as running:
        yield running


@pytest.fixture
def settings() -> Download:
    """Small limits, so that no test waits; loopback is allowed."""
    return Download(
        allow_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        max_bytes=1_000_000,
        connect_timeout=2.0,
        read_timeout=5.0,
        total_timeout=10.0,
        user_agent="ImageCloudTest/1",
    )


@pytest.fixture
def client(settings: Download) -> Origin:
    return Origin(settings)


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


def resolver(*addresses: str) -> Callable[..., list[Any]]:
    """Return a resolver that gives these addresses for every name."""

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        found: list[Any] = []
        for address in addresses:
            found += socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        return found

    return resolve


# --- answers that are well ------------------------------------------------------------------------


def test_a_picture(server: wire.Origin, client: Origin) -> None:
    url = server.serve("/a.jpg", BODY)
    told, body = fetch(client, url)
    assert body == BODY
    assert (told.content_type, told.url.text, told.length_known) == ("image/jpeg", url, True)


def test_what_is_sent(server: wire.Origin, client: Origin) -> None:
    server.serve("/a", b"x")
    fetch(client, server.url("/a?b=%c3%A4&c=ä b&d=%"))
    request = server.requests[0]
    assert request.target == "/a?b=%c3%A4&c=%C3%A4%20b&d=%"
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "ImageCloudTest/1",
        "accept": "image/*",
        "accept-encoding": "identity",
    }


def test_no_proxy_netrc_or_cookie_is_used(
    server: wire.Origin, client: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.serve("/a", b"x", headers={"Set-Cookie": "seen=1"})
    fetch(client, server.url("/a"))
    fetch(client, server.url("/a"))
    assert not {"cookie", "authorization"} & server.requests[1].headers.keys()


@pytest.mark.parametrize("kind", ["text/html", "image/png", "application/x-whatever"])
def test_the_content_type_is_only_reported(server: wire.Origin, client: Origin, kind: str) -> None:
    told, body = fetch(client, server.serve("/a", b"<html>", content_type=kind))
    assert (told.content_type, body) == (kind, b"<html>")


def test_empty_body(server: wire.Origin, client: Origin) -> None:
    told, _ = fetch(client, server.serve("/a", b""))
    assert (told.bytes, told.length_known) == (0, True)


def test_chunked(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.chunked(b"a" * 70_000, b"b", BODY))
    for _ in range(2):
        told, body = fetch(client, server.url("/a"))
        assert body == b"a" * 70_000 + b"b" + BODY
        assert told.length_known
    assert server.connections == 1


def test_chunk_extensions_and_trailers(server: wire.Origin, client: Origin) -> None:
    sent = b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
    server.behave("/a", wire.raw(wire.head(200, {"Transfer-Encoding": "Chunked"}) + sent))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (b"abc", True)


def test_close_without_a_length_is_told(server: wire.Origin, client: Origin) -> None:
    told, body = fetch(client, server.behave("/a", wire.without_length(BODY)))
    assert (body, told.length_known) == (BODY, False)


def test_equal_lengths_are_one(server: wire.Origin, client: Origin) -> None:
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc"
    told, body = fetch(client, server.behave("/a", wire.raw(sent)))
    assert (body, told.length_known) == (b"abc", True)


def test_continue_before_the_answer(server: wire.Origin, client: Origin) -> None:
    sent = b"HTTP/1.1 100 Continue\r\n\r\n" + wire.head(200, {"Content-Length": "3"}) + b"abc"
    assert fetch(client, server.behave("/a", wire.raw(sent)))[1] == b"abc"


# --- statuses and redirects -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_not_found(server: wire.Origin, client: Origin, status: int) -> None:
    server.behave("/a", wire.answer(status))
    with pytest.raises(errors.OriginNotFound) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.upstream_status == status


@pytest.mark.parametrize(
    "status", [103, 201, 204, 206, 300, 304, 400, 401, 403, 418, 500, 502, 599]
)
def test_unexpected_status(server: wire.Origin, client: Origin, status: int) -> None:
    server.behave("/a", wire.answer(status, {"Retry-After": "7"}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert (caught.value.upstream_status, caught.value.retry_after_s) == (status, None)


def in_an_hour() -> str:
    return email.utils.format_datetime(
        datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1), usegmt=True
    )


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        ("7", 7, 7),
        (" 0 ", 0, 0),
        ("999999", 86400, 86400),
        (in_an_hour(), 3000, 3600),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
    ],
)
def test_retry_after(
    server: wire.Origin, client: Origin, status: int, header: str, least_s: float, most_s: float
) -> None:
    server.behave("/a", wire.answer(status, {"Retry-After": header}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.retry_after_s is not None
    assert least_s <= caught.value.retry_after_s <= most_s


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "9" * 20, "Sun, 99 Nov 1994 08:49:37"])
def test_retry_after_that_says_nothing(server: wire.Origin, client: Origin, header: str) -> None:
    server.behave("/a", wire.answer(429, {"Retry-After": header}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "/b/ä%c3?x=1", "b/ä%c3?x=1", "//{}/b/ä%c3?x=1", "http://{}/b/ä%c3?x=1",
        "HTTP://{}/b/ä%c3?x=1#top",
        "\\b\\ä%c3?x=1",
        "\\\\{}\\b/ä%c3?x=1", "http:\\\\{}/b/ä%c3?x=1", "http:b/ä%c3?x=1", "/c/.%2E/b/ä%c3?x=1",
        "/\t/{}/b/ä\t%c3?x=1\t",
    ],
)  # fmt: skip
def test_redirects(server: wire.Origin, client: Origin, status: int, location: str) -> None:
    server.serve("/b/%C3%A4%c3", BODY)
    there = location.format(f"127.0.0.1:{server.port}").encode().decode("latin-1")
    server.behave("/a", wire.redirect(there, status))
    told, body = fetch(client, server.url("/a"))
    assert body == BODY
    assert told.url.text == server.url("/b/%C3%A4%c3?x=1")
    assert "referer" not in server.requests[1].headers
    assert server.connections == 1


def strict_server(status: int) -> wire.Behaviour:
    """Refuse what RFC 3986 does not allow in a request line, as Tomcat, Jetty and IIS do."""
    allowed = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})+")

    def behave(call: wire.Call) -> None:
        if allowed.fullmatch(call.request.target):
            call.reply(BODY)
        else:
            call.reply(b"invalid character in the request target", status=status)

    return behave


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/100%.jpg", ["/100%.jpg", "/100%25.jpg"]),
        ("/a|b[1].jpg?c=^`{d}|", ["/a|b[1].jpg?c=^`{d}|", "/a%7Cb%5B1%5D.jpg?c=%5E%60%7Bd%7D%7C"]),
        ("/{a}^b %41.jpg?'", ["/%7Ba%7D%5Eb%20%41.jpg?%27"]),
    ],
)
def test_a_server_that_takes_rfc_3986_at_its_word(
    server: wire.Origin, settings: Download, status: int, path: str, sent: list[str]
) -> None:
    for target in sent:
        server.behave(target, strict_server(status))
    client = Origin(dataclasses.replace(settings, max_redirects=0))
    assert fetch(client, server.url(path))[1] == BODY
    assert [request.target for request in server.requests] == sent
    assert server.connections == 1


def test_a_refusal_of_both_spellings(server: wire.Origin, client: Origin) -> None:
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/a|b"))
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/a'b(c)"))
    assert [request.target for request in server.requests] == ["/a|b", "/a%7Cb", "/a'b(c)"]


def test_as_many_redirects_as_the_ini_says(server: wire.Origin, settings: Download) -> None:
    client = Origin(dataclasses.replace(settings, max_redirects=2))
    for number in range(3):
        server.behave(f"/{number}", wire.redirect(f"/{number + 1}"))
    server.serve("/3", BODY)
    assert fetch(client, server.url("/1"))[1] == BODY
    with pytest.raises(errors.TooManyRedirects):
        fetch(client, server.url("/0"))


def test_redirect_loop(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.redirect("/a"))
    with pytest.raises(errors.TooManyRedirects):
        fetch(client, server.url("/a"))
    assert server.count("/a") == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/",
        "http://0x7f.1:1/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://0/",
        "ftp://shop.example/a", "file:///etc/passwd", "http://shop.example:22/", "//10.0.0.1/a",
    ],
)  # fmt: skip
def test_redirect_to_what_is_forbidden(
    server: wire.Origin, settings: Download, location: str
) -> None:
    one = dataclasses.replace(settings, allow_networks=(), sample_origin=server.sample_origin)
    server.behave("/a", wire.redirect(location))
    with pytest.raises(errors.UrlForbidden):
        fetch(Origin(one), server.url("/a"))


@pytest.mark.parametrize(
    "location", ["", "http://", "http://u:p@x.example/", "http://[/", "http://x:0/"]
)
def test_redirect_to_what_is_no_url(server: wire.Origin, client: Origin, location: str) -> None:
    server.behave("/a", wire.redirect(location))
    with pytest.raises(errors.OriginProtocol) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.upstream_status == 302


def test_redirects_are_checked_against_the_settings(
    server: wire.Origin, settings: Download
) -> None:
    server.behave("/a", wire.redirect("http://evil.example/"))
    strict = dataclasses.replace(settings, deny_domains=("evil.example",))
    with pytest.raises(errors.UrlForbidden):
        fetch(Origin(strict), server.url("/a"))


# --- which addresses ------------------------------------------------------------------------------


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


# --- origins that are away ------------------------------------------------------------------------


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
    client = Origin(hasty, resolve=lambda *a, **k: [release.wait(30)])
    with pytest.raises(errors.OriginDns):
        fetch(client, "http://shop.example/")
    release.set()


def test_connect_timeout(settings: Download) -> None:
    """A listener whose queue is full takes no further connection and refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), pytest.raises(errors.OriginTimeout):
            fetch(impatient(settings, connect_timeout=0.3), f"http://127.0.0.1:{address[1]}/")


# --- answers that are not well --------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PROTOCOL = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "negative length": OK + b"Content-Length: -5\r\n\r\nabcde",
    "length in words": OK + b"Content-Length: five\r\n\r\nabcde",
    "length with a sign": OK + b"Content-Length: +5\r\n\r\nabcde",
    "length that is empty": OK + b"Content-Length:\r\n\r\nabcde",
    "huge length": OK + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\nabcde",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "two lengths in one": OK + b"Content-Length: 5, 6\r\n\r\nabcdef",
    "gzip transfer": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunk without a size": CHUNKED + b"zz\r\n",
    "negative chunk": CHUNKED + b"-5\r\nabcde\r\n",
    "chunk longer than said": CHUNKED + b"3\r\nabcde\r\n",
    "chunk line without an end": CHUNKED + b"0" * 9999,
    "endless trailers": CHUNKED + b"0\r\n" + b"a: b\r\n" * 999,
    "101 headers": OK + b"a: b\r\n" * 101 + b"\r\n",
    "endless continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", PROTOCOL)
def test_not_understandable(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(PROTOCOL[kind]))
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


@pytest.mark.parametrize("behaviour", [wire.endless_headers, wire.endless_header, wire.gzip])
def test_headers_without_an_end_and_an_encoding(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.behave("/a", behaviour)
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


RESET = {
    "no answer": wire.close,
    "reset": wire.reset,
    "reset within": wire.reset_within(BODY),
    "cut status": wire.raw(b"HTTP/1.1 200 OK"),
    "cut headers": wire.raw(b"HTTP/1.1 200 OK\r\nContent-Type: image/jp"),
    "cut redirect": wire.raw(b"HTTP/1.1 302 Found\r\nLocation: http://shop.exa"),
    "short": wire.short_body(BODY, len(BODY) + 1),
    "cut chunk": wire.chunked(BODY, end=b"5\r\nab"),
    "cut before a chunk": wire.chunked(BODY, end=b""),
    "cut before the end": wire.chunked(BODY, end=b"0\r\n"),
}


@pytest.mark.parametrize("kind", RESET)
def test_broken_off(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", RESET[kind])
    with pytest.raises(errors.OriginReset):
        fetch(client, server.url("/a"))


@hypothesis.settings(
    max_examples=150,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(st.binary(max_size=60), st.sampled_from([b"", OK, CHUNKED, OK + b"Location: "]))
def test_any_bytes_are_an_answer_or_an_error(
    server: wire.Origin, client: Origin, sent: bytes, start: bytes
) -> None:
    server.behave("/a", wire.raw(start + sent))
    with contextlib.suppress(errors.OriginFailed):
        fetch(client, server.url("/a"))


def test_short_body_says_how_short(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.short_body(b"abc", 10))
    with pytest.raises(errors.OriginReset, match="sent 3 of 10 bytes"):
        fetch(client, server.url("/a"))


def test_too_many_bytes_declared(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.short_body(b"", 1001))
    written: list[bytes] = []
    with pytest.raises(errors.TooManyBytes):
        Origin(dataclasses.replace(settings, max_bytes=1000)).download(
            Url.parse(server.url("/a")), written.append
        )
    assert not written


@pytest.mark.parametrize("behaviour", [wire.endless_body, wire.chunked(BODY * 6, BODY)])
def test_too_many_bytes_streamed(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.behave("/a", behaviour)
    written: list[bytes] = []
    with pytest.raises(errors.TooManyBytes):
        client.download(Url.parse(server.url("/a")), written.append)
    assert sum(map(len, written)) <= 1_000_000


def test_exactly_as_many_bytes_as_allowed(server: wire.Origin, settings: Download) -> None:
    client = Origin(dataclasses.replace(settings, max_bytes=len(BODY)))
    assert fetch(client, server.serve("/a", BODY))[1] == BODY
    assert fetch(client, server.behave("/b", wire.without_length(BODY)))[1] == BODY


# --- time -----------------------------------------------------------------------------------------

SLOW = {
    "headers": wire.drip_headers(),
    "body": wire.drip_body(),
    "body without a length": wire.drip(wire.head(200, {}), b"x"),
    "chunks": wire.drip(CHUNKED, b"1\r\nx\r\n"),
    "chunk line": wire.drip(CHUNKED, b"0"),
    "continue": wire.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": wire.silent,
    "late": wire.slow_start(30, wire.raw(b"HTTP/1.1 200 OK\r\n\r\n")),
}


@pytest.mark.parametrize("kind", SLOW)
def test_the_watchdog_ends_what_no_socket_timeout_ends(
    server: wire.Origin, settings: Download, kind: str
) -> None:
    server.behave("/a", SLOW[kind])
    began_s = time.monotonic()
    with pytest.raises(errors.OriginTimeout):
        fetch(impatient(settings), server.url("/a"))
    assert time.monotonic() - began_s < settings.read_timeout


def test_redirects_share_one_deadline(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.slow_start(0.15, wire.redirect("/a")))
    with pytest.raises(errors.OriginTimeout):
        fetch(impatient(settings, max_redirects=20), server.url("/a"))


def test_silence_is_shorter_than_the_whole(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.short_body(b"", 100))
    server.behave("/a", wire.drip(wire.head(200, {"Content-Length": "9"}), b"x", every_s=30))
    with pytest.raises(errors.OriginTimeout, match="silent"):
        fetch(impatient(settings, total_timeout=60.0, read_timeout=0.2), server.url("/a"))


def test_many_slow_downloads_share_one_watchdog(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.drip_body())
    client = impatient(settings, total_timeout=1.0)
    ended: list[int] = []

    def download() -> None:
        with pytest.raises(errors.OriginTimeout):
            client.download(Url.parse(server.url("/a")), lambda block: None)
        ended.append(1)

    threads = [threading.Thread(target=download) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(ended) == 32
    assert [t.name for t in threading.enumerate()].count("origin-watchdog") == 1
    assert not watchdog()._watched


EVIL = wire.head(200, {"Content-Length": "4"}) + b"evil"

# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"small", BODY])
def test_connections_are_kept_alive(server: wire.Origin, client: Origin, body: bytes) -> None:
    url = server.serve("/a", body)
    for _ in range(5):
        fetch(client, url)
    assert server.connections == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        wire.gzip,
        wire.answer(500, body=b"x" * 100_000),
        lambda call: call.reply(b"x" * 2_000_000),
    ],
)
def test_an_unread_answer_never_reaches_the_next_request(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.serve("/good", BODY)
    server.behave("/bad", behaviour)
    for _ in range(3):
        with contextlib.suppress(errors.ImageCloudError):
            fetch(client, server.url("/bad"))
        assert fetch(client, server.url("/good"))[1] == BODY


@pytest.mark.parametrize(
    "behaviour",
    [
        wire.raw(wire.head(200, {"Content-Length": "3"}) + b"abc" + EVIL, keep=True),
        wire.raw(wire.head(404, {"Content-Length": "3"}) + b"abc" + EVIL, keep=True),
        wire.raw(CHUNKED + b"0\r\n\r\n" + EVIL, keep=True),
        wire.raw(b"HTTP/1.1 103 Early\r\n\r\n" + EVIL, keep=True),
    ],
)
def test_a_connection_with_more_on_it_is_closed(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.serve("/good", BODY)
    server.behave("/bad", behaviour)
    with contextlib.suppress(errors.ImageCloudError):
        fetch(client, server.url("/bad"))
    assert fetch(client, server.url("/good"))[1] == BODY
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(("status", "length_bytes"), [(404, len(EVIL)), (103, 0)])
def test_what_comes_late_is_not_the_next_answer(
    server: wire.Origin, client: Origin, status: int, length_bytes: int
) -> None:
    """What an answer still owes, sent when the next request comes, looks like an answer."""
    promised: set[int] = set()

    def bad(call: wire.Call) -> None:
        promised.add(call.request.connection)
        call.send(wire.head(status, {"Content-Length": str(length_bytes)}))
        call.keep = True

    def good(call: wire.Call) -> None:
        call.send(EVIL if call.request.connection in promised else b"")
        call.reply(BODY)

    server.behave("/bad", bad)
    server.behave("/good", good)
    with pytest.raises((errors.OriginNotFound, errors.OriginStatus)):
        fetch(client, server.url("/bad"))
    assert fetch(client, server.url("/good"))[1] == BODY


def test_small_errors_keep_the_connection(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.answer(404, body=b"none"))
    for _ in range(3):
        with pytest.raises(errors.OriginNotFound):
            fetch(client, server.url("/a"))
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(
    server: wire.Origin, client: Origin
) -> None:
    server.behave("/a", wire.keep_alive_then_close(BODY))
    assert fetch(client, server.url("/a"))[1] == BODY
    assert fetch(client, server.url("/a"))[1] == BODY
    assert (server.connections, server.count("/a")) == (2, 3)


def test_the_second_try_does_not_take_another_kept_connection(
    server: wire.Origin, client: Origin
) -> None:
    url = server.serve("/a", BODY)
    fetch(client, url)
    client._adapter.exchange(Exchange(Url.parse(url), Deadline(10.0), only_fresh=True))
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_connection_that_was_replaced_is_new(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.raw(wire.head(200, {"Content-Length": "3"}) + b"abc"))
    server.behave("/b", wire.close)
    fetch(client, server.url("/a"))
    server.await_idle()
    with pytest.raises(errors.OriginReset):
        fetch(client, server.url("/b"))
    assert server.count("/b") == 1


def test_a_new_connection_that_is_closed_is_not_tried_again(
    server: wire.Origin, client: Origin
) -> None:
    server.behave("/a", wire.close)
    with pytest.raises(errors.OriginReset):
        fetch(client, server.url("/a"))
    assert server.count("/a") == 1


def test_the_error_of_the_writer_comes_out_and_the_connection_is_closed(
    server: wire.Origin, client: Origin
) -> None:
    full = OSError(28, "No space left on device")

    def write(block: bytes) -> None:
        raise full

    server.serve("/a", BODY * 4)
    with pytest.raises(OSError, match="No space") as caught:
        client.download(Url.parse(server.url("/a")), write)
    assert caught.value is full
    assert fetch(client, server.url("/a"))[1] == BODY * 4
    assert server.connections == 2


def test_many_threads(server: wire.Origin, client: Origin) -> None:
    bodies = {f"/{number}": os.urandom(30_000) for number in range(64)}
    for path, body in bodies.items():
        server.serve(path, body)
    wrong: list[str] = []

    def download(path: str) -> None:
        downloads = (fetch(client, server.url(path))[1] for _ in range(5))
        wrong.extend(path for body in downloads if body != bodies[path])

    threads = [threading.Thread(target=download, args=[path]) for path in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not wrong
    assert sum(server.counts().values()) == 64 * 5


def test_after_a_fork(server: wire.Origin, settings: Download) -> None:
    """The child uses neither the parent's connections nor its watchdog."""
    server.serve("/a", BODY)
    server.behave("/slow", wire.drip_body())
    client = impatient(settings, total_timeout=1.0)
    fetch(client, server.url("/a"))
    child = os.fork()
    if child == 0:
        try:
            fetch(client, server.url("/a"))
            fetch(client, server.url("/slow"))
        except errors.OriginTimeout:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    fetch(client, server.url("/a"))
    assert [request.connection for request in server.requests] == [1, 2, 2, 1]


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
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


@pytest.fixture
def secure(certificate: Path) -> Iterator[Secure]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    running = Secure(tls=context)
    context.sni_callback = lambda sock, name, ctx: running.names.append(name)
    with running:
        yield running


@pytest.fixture
def trusting(settings: Download, certificate: Path) -> Download:
    return dataclasses.replace(settings, ca_file=str(certificate / "cert.pem"))


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
def test_the_watchdog_ends_tls_too(secure: Secure, trusting: Download, kind: str) -> None:
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
