"""Answers that are broken beyond what browsers forgive."""

import contextlib
import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, CHUNKED, OK, fetch

PROTOCOL = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "HTTP/0.9": b"\xff\xd8\xff\xe0" + BODY,
    "HTTP too late": b"abcdeHTTP/1.1 200 OK\r\n\r\n",
    "blank lines alone": b"\r\n" * 100,
    "long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of nothing": b"HTTP/1.1 000 OK\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "two lengths in one": OK + b"Content-Length: 5, 6\r\n\r\nabcdef",
    "a length and none": OK + b"Content-Length: 5\r\nContent-Length: -1\r\n\r\nabcdef",
    "chunk without a size": CHUNKED + b"zz\r\n",
    "negative chunk": CHUNKED + b"-5\r\nabcde\r\n",
    "chunk longer than said": CHUNKED + b"3\r\nabcde\r\n",
    "chunk line without an end": CHUNKED + b"0" * 20_000,
    "very small chunks": CHUNKED + b"1\r\nx\r\n" * 300_000,
    "long chunk extensions": CHUNKED + (b"1;" + b"x" * 9000 + b"\r\nx\r\n") * 200,
    "endless continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", PROTOCOL)
def test_malformed(server: wire.Origin, client: Origin, kind: str) -> None:
    """The connection stays open: nobody waits for more of it."""
    server.behave("/a", wire.raw_and_hold(PROTOCOL[kind]))
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


@pytest.mark.parametrize("behaviour", [wire.endless_headers, wire.endless_header, wire.brotli])
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
