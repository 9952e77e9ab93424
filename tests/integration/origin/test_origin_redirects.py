"""Redirects: read as browsers read them, each one checked."""

import dataclasses
import re

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from tests import origin as wire
from tests.fetching import BODY, fetch


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
