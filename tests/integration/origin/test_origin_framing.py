"""Where bodies end: lengths and chunks, read as browsers read them."""

import threading

import pytest

from image_cloud import errors
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, CHUNKED, LENGTH, OK, fetch, fetch_whole

TE = b"Transfer-Encoding: "
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


LENGTHS = {
    "twice": LENGTH + LENGTH,
    "a list": b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)),
    "an empty one and one": b"Content-Length:\r\n" + LENGTH,
    "a list with empty parts": b"Content-Length: ,%d,\r\n" % len(BODY),
    "zeros before": b"Content-Length: 000%d\r\n" % len(BODY),
    "blanks around": b"Content-Length: \t %d \t\r\n" % len(BODY),
    "blank before the colon": b"Content-Length : %d\r\n" % len(BODY),
    "folded": b"Content-Length:\r\n %d\r\n" % len(BODY),
    "lower case": LENGTH.lower(),
}


@pytest.mark.parametrize("kind", LENGTHS)
def test_lengths(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(OK + LENGTHS[kind] + b"\r\n" + BODY, keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


NO_LENGTHS = {
    "none": b"",
    "empty": b"Content-Length:\r\n",
    "blank": b"Content-Length: \t\r\n",
    "negative": b"Content-Length: -5\r\n",
    "with a sign": b"Content-Length: +5\r\n",
    "hexadecimal": b"Content-Length: 0x5\r\n",
    "a fraction": b"Content-Length: 5.0\r\n",
    "with a unit": b"Content-Length: 5 bytes\r\n",
    "words": b"Content-Length: five\r\n",
    "other digits": "Content-Length: ٥\r\n".encode(),
    "huge": b"Content-Length: " + b"9" * 4000 + b"\r\n",
    "without a colon": b"Content-Length 5\r\n",
    "with a NUL": b"Content-Length: 5\0\r\n",
    "folded away": b"Content-Length: 5\r\n : of a shop\r\n",
}


@pytest.mark.parametrize("kind", NO_LENGTHS)
def test_what_is_no_length_is_none(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(OK + NO_LENGTHS[kind] + b"\r\n" + BODY))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, False)


def test_an_open_connection_without_a_length(server: wire.Origin, client: Origin) -> None:
    """All at once: each waits for two seconds of silence, none for the timeout."""
    ended: dict[str, tuple[bytes, bool]] = {}

    def download(kind: str) -> None:
        told, body = fetch_whole(client, server.url(f"/{kind}".replace(" ", "-")))
        ended[kind] = (body, told.length_known)

    for kind, lines in NO_LENGTHS.items():
        path = f"/{kind}".replace(" ", "-")
        server.behave(path, wire.raw(OK + lines + b"\r\n" + BODY, keep=True))
    threads = [threading.Thread(target=download, args=[kind]) for kind in NO_LENGTHS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == dict.fromkeys(NO_LENGTHS, (BODY, False))


def test_a_pause_is_not_the_end(server: wire.Origin, client: Origin) -> None:
    """Whoever looks at the picture says that it is not all, and the rest comes."""

    def behaviour(call: wire.Call) -> None:
        call.send(OK + b"\r\n" + BODY[:1000])
        call.wait(2.5)
        call.send(BODY[1000:])

    told, body = fetch_whole(client, server.behave("/a", behaviour))
    assert (body, told.length_known) == (BODY, False)


OPEN = {
    "a length that is too large": OK + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 9) + BODY,
    "a chunk that is too large": CHUNKED + b"%x\r\n" % (len(BODY) + 9) + BODY,
    "no last chunk": CHUNKED + b"%x\r\n%b\r\n" % (len(BODY), BODY),
    "no end of the chunk": CHUNKED + b"%x\r\n%b" % (len(BODY), BODY),
    "half a line": CHUNKED + b"%x\r\n%b\r\n0" % (len(BODY), BODY),
}


def test_an_open_connection_behind_a_wrong_end(server: wire.Origin, client: Origin) -> None:
    """All at once: what browsers show while they wait is taken after four seconds of silence."""
    ended: dict[str, tuple[bytes, bool]] = {}

    def download(kind: str) -> None:
        told, body = fetch_whole(client, server.url(f"/{kind}".replace(" ", "-")))
        ended[kind] = (body, told.length_known)

    for kind, sent in OPEN.items():
        server.behave(f"/{kind}".replace(" ", "-"), wire.raw_and_hold(sent))
    threads = [threading.Thread(target=download, args=[kind]) for kind in OPEN]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == dict.fromkeys(OPEN, (BODY, False))


def test_a_pause_within_a_known_length_is_not_looked_at(
    server: wire.Origin, client: Origin
) -> None:
    def behaviour(call: wire.Call) -> None:
        call.send(OK + LENGTH + b"\r\n" + BODY[:1000])
        call.wait(2.5)
        call.send(BODY[1000:])

    def is_whole() -> bool:
        raise AssertionError("asked")

    told = client.download(
        Url.parse(server.behave("/a", behaviour)), lambda block: None, is_whole=is_whole
    )
    assert (told.bytes, told.length_known) == (len(BODY), True)


TRANSFERS = {
    "any case": TE + b"cHuNkEd\r\n",
    "blanks": TE + b"\t chunked \t\r\n",
    "twice": TE + b"chunked\r\n" + TE + b"chunked\r\n",
    "twice in a list": TE + b"chunked, chunked\r\n",
    "after identity": TE + b"identity, chunked\r\n",
    "after something unknown": TE + b"sdch, chunked\r\n",
    "before something unknown": TE + b"chunked, x\r\n",
    "with a parameter": TE + b"chunked;q=1\r\n",
    "with a parameter and a length": TE + b"chunked;q=1\r\n" + LENGTH,
    "with empty parts": TE + b",chunked,,\r\n",
    "with a right length": TE + b"chunked\r\n" + LENGTH,
    "with a wrong length": b"Content-Length: 5\r\n" + TE + b"chunked\r\n",
    "with two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n" + TE + b"chunked\r\n",
    "gzip only said": TE + b"gzip, chunked\r\n",
}


@pytest.mark.parametrize("kind", TRANSFERS)
def test_chunked_in_all_spellings(server: wire.Origin, client: Origin, kind: str) -> None:
    server.behave("/a", wire.raw(OK + TRANSFERS[kind] + b"\r\n" + CHUNKS, keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


@pytest.mark.parametrize(
    "coding",
    [b"identity", b"", b"x-unknown", b"binary", b"chunk", b"gzip", b"chunked;q=1", b"chunked x"],
)
def test_what_is_not_chunked(server: wire.Origin, client: Origin, coding: bytes) -> None:
    server.behave("/a", wire.raw(OK + TE + coding + b"\r\n" + LENGTH + b"\r\n" + BODY, keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


def test_an_old_server_that_only_says_chunked(server: wire.Origin, client: Origin) -> None:
    old = b"HTTP/1.0 200 OK\r\n" + TE + b"chunked\r\n" + LENGTH + b"\r\n"
    server.behave("/plain", wire.raw(old + BODY))
    server.behave("/chunked", wire.raw(old + CHUNKS))
    assert fetch(client, server.url("/plain"))[1] == BODY
    assert fetch(client, server.url("/chunked"))[1] == BODY


BODIES = {
    "extensions": b'3;x=y\r\nabc\r\n2 ; a="b\xe4"\r\nde\r\n0;z\r\n\r\n',
    "blanks": b"3  \r\nabc\r\n2\t\r\nde\r\n0 \r\n\r\n",
    "LF alone": b"3\nabc\n2\nde\n0\n\n",
    "many zeros": b"0" * 40 + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "zeros": b"00003\r\nabc\r\n02\r\nde\r\n000\r\n\r\n",
    "trailers": b"5\r\nabcde\r\n0\r\nX-Sum: 1\r\nno trailer\r\n\r\n",
    "endless trailers": b"5\r\nabcde\r\n0\r\n" + b"X-Sum: 1\r\n" * 99_999,
    "no last line": b"5\r\nabcde\r\n0\r\n",
    "letters": b"5\r\nabcde\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", BODIES)
def test_chunks(server: wire.Origin, client: Origin, kind: str) -> None:
    """The connection stays open: nobody waits for what comes behind the data."""
    server.behave("/a", wire.raw_and_hold(CHUNKED + BODIES[kind]))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (b"abcde", True)


def test_a_picture_whose_chunks_have_no_end(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.chunked(BODY, end=b""))
    with pytest.raises(errors.OriginReset):
        fetch_whole(client, server.url("/a"))


def test_small_chunks_come_in_large_blocks(server: wire.Origin, client: Origin) -> None:
    blocks: list[bytes] = []
    server.behave("/a", wire.chunked(*[b"abcdefgh"] * 100_000))
    client.download(Url.parse(server.url("/a")), blocks.append)
    assert b"".join(blocks) == b"abcdefgh" * 100_000
    assert len(blocks) == 2
