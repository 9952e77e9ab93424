"""X-Robots-Tag: respected where the settings say so, and only what is meant for this client."""

import dataclasses

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, LENGTH, OK, fetch

AGENT = "Mozilla/5.0 (compatible; ShopBot/1.2; +https://bots.example/about) ImageCloud/0.1"
REFUSES = [
    "X-Robots-Tag: noai",
    "X-Robots-Tag: NoAI",
    "x-robots-tag:noindex,noai",
    "X-Robots-Tag: noindex , , noai ,",
    "X-Robots-Tag: noindex\r\nX-Robots-Tag: nofollow\r\nX-Robots-Tag: noimageai",
    "X-Robots-Tag: noindex,\r\n noai",
    "X-Robots-Tag: *: noai",
    "X-Robots-Tag: imagecloud: noai",
    "X-Robots-Tag: ShopBot : noai",
    "X-Robots-Tag: otherbot: noindex, imagecloud: noindex, noai",
    "X-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: noai",
    "X-Robots-Tag: unavailable_after: 25 Jun 2010 15:00:00 PST, noai",
    "X-Robots-Tag: max-snippet: 20, noai",
]
ALLOWS = [
    "X-Robots: noai",
    "X-Robots-Tag:",
    "X-Robots-Tag: noindex, none, all",
    "X-Robots-Tag: noai-please, xnoai",
    "X-Robots-Tag: otherbot: noai",
    "X-Robots-Tag: otherbot: noindex, noai",
    "X-Robots-Tag: imagecloud: noindex, otherbot: noai",
    "X-Robots-Tag: cloud: noai",
    "X-Robots-Tag: unavailable_after: noai",
]


def respectful(settings: Download, *rules: str) -> Origin:
    return Origin(dataclasses.replace(settings, user_agent=AGENT, respect_robots_tags=rules))


def tagged(server: wire.Origin, lines: str) -> str:
    head = OK + lines.encode() + b"\r\n" + LENGTH + b"\r\n"
    return server.behave("/a", wire.raw(head + BODY, keep=True))


@pytest.mark.parametrize("lines", REFUSES)
def test_a_rule_that_refuses(server: wire.Origin, settings: Download, lines: str) -> None:
    url = tagged(server, lines)
    written: list[bytes] = []
    with pytest.raises(errors.RobotsRefused, match="says no"):
        respectful(settings, "noai", "noimageai").download(Url.parse(url), written.append)
    assert not written
    assert fetch(Origin(settings), url)[1] == BODY


@pytest.mark.parametrize("lines", ALLOWS)
def test_rules_that_do_not_concern_us(server: wire.Origin, settings: Download, lines: str) -> None:
    client = respectful(settings, "noai", "noimageai")
    assert fetch(client, tagged(server, lines))[1] == BODY


def test_none_is_short_for_noindex_and_nofollow(server: wire.Origin, settings: Download) -> None:
    url = tagged(server, "X-Robots-Tag: none")
    for rule in ("none", "noindex", "nofollow"):
        with pytest.raises(errors.RobotsRefused):
            fetch(respectful(settings, rule), url)


def test_a_redirect_may_have_any_rule(server: wire.Origin, settings: Download) -> None:
    server.serve("/b", BODY)
    head = b"HTTP/1.1 302 Found\r\nX-Robots-Tag: noai\r\nLocation: /b\r\n\r\n"
    server.behave("/a", wire.raw(head))
    assert fetch(respectful(settings, "noai"), server.url("/a"))[1] == BODY
