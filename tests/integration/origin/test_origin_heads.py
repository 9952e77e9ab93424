"""Heads of responses that browsers read, however they look."""

import contextlib
import dataclasses

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from tests import origin as wire
from tests.fetching import BODY, LENGTH, OK, fetch

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "101": SWITCHING,
    "102 with a length": b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n",
    "103": EARLY_HINTS,
    "199, LF alone": b"HTTP/1.1 199 What\nX: y\n\n",
    "several": b"HTTP/1.1 100\r\n\r\n" + EARLY_HINTS * 30 + SWITCHING,
}


@pytest.mark.parametrize("kind", INTERIM)
def test_interim_responses_are_skipped(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(INTERIM[kind] + OK + LENGTH + b"\r\n" + BODY, keep=True))
    for _ in range(2):
        assert fetch(client, server.url("/a"))[1] == BODY
    assert server.connections == 1


def test_interim_responses_come_before_errors_and_redirects(
    server: wire.Origin, client: Origin
) -> None:
    server.serve("/c", BODY)
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /c\r\nContent-Length: 0\r\n\r\n"
    server.behave("/a", wire.raw(EARLY_HINTS + redirect, keep=True))
    server.behave("/b", wire.raw(EARLY_HINTS + b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
    assert fetch(client, server.url("/a"))[1] == BODY
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/b"))


def test_an_interim_response_that_comes_by_itself(server: wire.Origin, client: Origin) -> None:
    def behaviour(call: wire.Call) -> None:
        call.send(EARLY_HINTS)
        call.wait(0.05)
        call.reply(BODY)

    assert fetch(client, server.behave("/a", behaviour))[1] == BODY


LINES = {
    "no colon": b"Powered by a shop",
    "a blank before the colon": b"X-Powered : by a shop",
    "no name": b": by a shop",
    "a blank within the name": b"Powered by: a shop",
    "a folded line": b"X-Powered: by\r\n a shop\r\n\tand more",
    "a fold without a header": b"Powered by\r\n a shop: 1",
    "raw UTF-8": "X-Läden: Schöne Läden".encode(),
    "raw Latin-1": b"X-L\xe4den: Sch\xf6n",
    "a NUL in the name": b"X-\0: 1",
    "a NUL in the value": b"X-Powered: \0",
    "a bare CR": b"X-Powered: by\rX-Shop: 1",
    "a line that ends in CR CR LF": b"X-Powered: by\r",
    "control characters": b"X-\x01: \x7f",
    "HTML": b"<br />Warning: session_start() in /index.php on line 3<br />",
    "a second status line": b"HTTP/1.1 200 OK",
    "many": b"\r\n".join(b"X-Debug-%d: %d" % (number, number) for number in range(5000)),
    "the same name many times": b"\r\n".join([b"Set-Cookie: a=b"] * 3000),
    "a long one": b"Set-Cookie: " + b"x" * 200_000,
    "a long one without a colon": b"x" * 200_000,
    "many without colons": b"\r\n".join([b"x"] * 60_000),
    "many folds": b"X-Many: a" + b"\r\n b" * 50_000,
    "many CRs": b"X-Many: " + b"\r" * 200_000,
    "many blanks": b"X-Many:" + b" \t" * 100_000 + b"x",
    "many colons": b"X-Many" + b":" * 200_000,
}


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("kind", LINES)
def test_an_odd_line_costs_itself(
    server: wire.Origin, client: Origin, kind: str, place: str
) -> None:
    """The length still counts: the connection stays open, and nobody waits for its end."""
    odd = LINES[kind] + b"\r\n"
    lines = odd + LENGTH if place == "first" else LENGTH + odd
    server.behave(
        "/a", wire.raw(OK + b"Content-Type: image/jpeg\r\n" + lines + b"\r\n" + BODY, keep=True)
    )
    told, body = fetch(client, server.url("/a"))
    assert (body, told.content_type, told.length_known) == (BODY, "image/jpeg", True)


STARTS = {
    "no reason": b"HTTP/1.1 200\r\n",
    "a long reason": b"HTTP/1.1 200 " + b"all is well " * 1000 + b"\r\n",
    "two blanks": b"HTTP/1.1  200  OK\r\n",
    "a tab": b"HTTP/1.1\t200 OK\r\n",
    "blanks behind": b"HTTP/1.1 200 \r\n",
    "lower case": b"http/1.1 200 ok\r\n",
    "1.0": b"HTTP/1.0 200 OK\r\n",
    "2": b"HTTP/2 200\r\n",
    "an unknown version": b"HTTP/7.13 200 OK\r\n",
    "no version": b"HTTP 200 OK\r\n",
    "no status": b"HTTP/1.1 OK\r\n",
    "no status at all": b"HTTP/1.1\r\n",
    "a reason like a status": b"HTTP/1.1 200 404 Not Found\r\n",
    "blank lines before": b"\r\n\n\r\n" + OK,
    "a byte order mark before": b"\xef\xbb\xbf" + OK,
    "four bytes before": b"\0x\xff " + OK,
    "HTTPS": b"HTTPS/1.1 200 OK\r\n",
    "zeros before the status": b"HTTP/1.1 000200 OK\r\n",
    "raw bytes in the reason": b"HTTP/1.1 200 \xe4\xf6\0\r\n",
}


@pytest.mark.parametrize("kind", STARTS)
def test_odd_status_lines(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(STARTS[kind] + LENGTH + b"\r\n" + BODY, keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


@pytest.mark.parametrize("before", [b"", b" ", b"\0x\xff ", b" a b", b"HTTPS ", b"HTTP"])
def test_a_status_behind_other_bytes_counts(
    server: wire.Origin, client: Origin, before: bytes
) -> None:
    start = before if before.startswith(b"HTTP") else before + b"HTTP/1.1 "
    server.behave("/a", wire.raw(start + b" 410 Gone\r\n" + LENGTH + b"\r\n" + BODY))
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/a"))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r\n"])
def test_odd_line_ends(server: wire.Origin, client: Origin, end: bytes) -> None:
    head = end.join([b"HTTP/1.1 200 OK", b"Content-Type: image/jpeg", LENGTH.strip(), b"", b""])
    server.behave("/a", wire.raw(head + BODY.lstrip(b"\0") + b"\0", keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.content_type) == (BODY.lstrip(b"\0") + b"\0", "image/jpeg")


def test_a_head_that_comes_byte_by_byte(server: wire.Origin, client: Origin) -> None:
    def behaviour(call: wire.Call) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 3\r\n\r\nabc":
            call.send(bytes([byte]))
        call.keep = True

    assert fetch(client, server.behave("/a", behaviour))[1] == b"abc"


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a\r\n", b"a:" + b"b" * 8000 + b"\r\n"])
def test_a_head_is_bounded_by_its_bytes(server: wire.Origin, client: Origin, line: bytes) -> None:
    def head(size_bytes: int) -> bytes:
        return OK + LENGTH + line * (size_bytes // len(line)) + b"\r\n" + BODY

    server.behave("/good", wire.raw(head(230_000), keep=True))
    server.behave("/bad", wire.raw_and_hold(head(300_000)))
    assert fetch(client, server.url("/good"))[1] == BODY
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/bad"))


def test_a_cut_head_is_no_picture(server: wire.Origin, settings: Download) -> None:
    """However far it came."""
    whole = OK + b"Content-Type: image/jpeg\r\nLocation: /b\r\n" + LENGTH + b"\r\n"
    client = Origin(dataclasses.replace(settings, max_redirects=0))
    for end in range(len(whole)):
        server.behave(f"/{end}", wire.raw(whole[:end]))
        with pytest.raises(errors.OriginReset):
            fetch(client, server.url(f"/{end}"))


def test_interim_responses_count_for_the_bound(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", lambda call: _endless_hints(call))
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


def _endless_hints(call: wire.Call) -> None:
    with contextlib.suppress(OSError):
        while not call.origin.stopping.is_set():
            call.send(EARLY_HINTS * 100)
