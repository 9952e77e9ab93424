"""Codings of bodies: those that mean nothing, gzip and deflate although nobody asked, and bombs."""

import dataclasses
import gzip
import zlib
from collections.abc import Callable

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, OK, fetch

CE = b"Content-Encoding: "
Code = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def gzip_with_everything(data: bytes) -> bytes:
    """Use every part that the header may have, and put a wrong checksum behind."""
    flags = 2 | 4 | 8 | 16
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    parts = b"\x04\x00abcd" + b"name of a file\0" + b"and a comment\0" + b"\x12\x34"
    return head + parts + raw_deflate(data) + b"12345678"


def coded(lines: bytes, data: bytes, *, keep: bool = False) -> wire.Behaviour:
    length = b"Content-Length: %d\r\n" % len(data)
    return wire.raw(
        OK + b"Content-Type: image/jpeg\r\n" + lines + length + b"\r\n" + data, keep=keep
    )


@pytest.mark.parametrize(
    "coding",
    [
        b"UTF-8", b"utf8", b"none", b"identity", b"Identity", b"binary", b"", b" ", b"image/jpeg",
        b"8bit", b"7bit", b"base64", b"off", b"default", b"ISO-8859-1", b"raw", b"jpg", b"plain",
        b"compress", b"x-compress", b"*", b"true", b"\xe4", b"identity, UTF-8", b"gzip, UTF-8",
        b"UTF-8, deflate", b"gzip;UTF-8", b"text/html; charset=gzip", b"none\r\nContent-Encoding: 8bit",
    ],
)  # fmt: skip
def test_codings_that_mean_nothing(server: wire.Origin, client: Origin, coding: bytes) -> None:
    server.behave("/a", coded(CE + coding + b"\r\n", BODY, keep=True))
    for _ in range(2):
        told, body = fetch(client, server.url("/a"))
        assert (body, told.length_known) == (BODY, True)
    assert server.connections == 1


CODINGS: dict[str, tuple[bytes, Code]] = {
    "gzip": (CE + b"gzip\r\n", gzip.compress),
    "x-gzip, any case": (CE + b"X-GZip\r\n", gzip.compress),
    "gzip with all parts": (CE + b"gzip\r\n", gzip_with_everything),
    "gzip without checksum": (CE + b"gzip\r\n", lambda data: gzip.compress(data)[:-8]),
    "gzip and more behind": (CE + b"gzip\r\n", lambda data: gzip.compress(data) + b"\n<!-- -->"),
    "gzip in the best quality": (CE + b"gzip\r\n", lambda data: gzip.compress(data, 9)),
    "gzip not compressed": (CE + b"gzip\r\n", lambda data: gzip.compress(data, 0)),
    "deflate": (CE + b"deflate\r\n", zlib.compress),
    "raw deflate": (CE + b"deflate\r\n", raw_deflate),
    "deflate without checksum": (CE + b"deflate\r\n", lambda data: zlib.compress(data)[:-4]),
    "gzip twice": (CE + b"gzip, gzip\r\n", lambda data: gzip.compress(gzip.compress(data))),
    "deflate in gzip": (
        CE + b"deflate\r\n" + CE + b"gzip\r\n",
        lambda data: gzip.compress(zlib.compress(data)),
    ),
    "identity, gzip": (CE + b"identity, gzip\r\n", gzip.compress),
    "gzip beside what means nothing": (CE + b"UTF-8, gzip\r\n", gzip.compress),
    "zlib beside what means nothing": (CE + b"deflate, none\r\n", zlib.compress),
}


@pytest.mark.parametrize("kind", CODINGS)
def test_gzip_and_deflate_are_decoded(server: wire.Origin, client: Origin, kind: str) -> None:
    lines, code = CODINGS[kind]
    server.behave("/a", coded(lines, code(BODY), keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


@pytest.mark.parametrize("kind", CODINGS)
def test_a_coding_knows_its_own_end(server: wire.Origin, client: Origin, kind: str) -> None:
    """No length, the decoded body's length as some servers have it, a connection that stays open."""
    lines, code = CODINGS[kind]
    decoded_length = b"Content-Length: %d\r\n" % (len(BODY) + 50_000)
    server.behave("/a", wire.raw_and_hold(OK + lines + b"\r\n" + code(BODY)))
    server.behave("/b", wire.raw_and_hold(OK + lines + decoded_length + b"\r\n" + code(BODY)))
    server.behave("/c", wire.raw(OK + lines + decoded_length + b"\r\n" + code(BODY)))
    for path in ("/a", "/b", "/c"):
        told, body = fetch(client, server.url(path))
        assert (body, told.length_known) == (BODY, True)


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"chunked, gzip", b"x-gzip, chunked"])
def test_a_transfer_coding(server: wire.Origin, client: Origin, coding: bytes) -> None:
    """Browsers do not decode it: where the bytes are not gzip, it was only said."""
    head = OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    for path, data in (("/gzip", gzip.compress(BODY)), ("/plain", BODY)):
        server.behave(path, wire.raw(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)))
        assert fetch(client, server.url(path))[1] == BODY


def test_coded_and_chunked(server: wire.Origin, client: Origin) -> None:
    data = gzip.compress(BODY)
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, data[at : at + 1]) for at in range(400))
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data) - 400, data[400:])
    head = OK + CE + b"gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.behave("/a", wire.raw(head + chunks + rest, keep=True))
    told, body = fetch(client, server.url("/a"))
    assert (body, told.length_known) == (BODY, True)


PACKED = gzip.compress(BODY)
BROKEN = {
    "gzip that is none": (b"gzip", BODY),
    "gzip of which little came": (b"gzip", PACKED[:5]),
    "gzip that ends early": (b"gzip", PACKED[: len(PACKED) // 2]),
    "gzip that lacks its last block": (b"gzip", PACKED[:-9]),
    "gzip that is damaged": (b"gzip", PACKED[:30] + b"\xff" * 30 + PACKED[60:]),
    "gzip of another method": (b"gzip", b"\x1f\x8b\x07" + PACKED[3:]),
    "gzip whose name has no end": (b"gzip", b"\x1f\x8b\x08\x08" + b"x" * 300_000),
    "deflate that is none": (b"deflate", b"\xff\xd8\xff\xe0" + BODY),
    "deflate that ends early": (b"deflate", zlib.compress(BODY)[:200]),
    "deflate with a dictionary": (b"deflate", b"\x78\xbb" + zlib.compress(BODY)[2:]),
    "gzip in gzip that is none": (b"gzip, gzip", gzip.compress(BODY)),
    "brotli": (b"br", b"\x8b\x01\x80abcd\x03"),
    "brotli that is none": (b"BR", BODY),
    "zstandard": (b"zstd", b"\x28\xb5\x2f\xfd" + BODY),
    "brotli within gzip": (b"br, gzip", PACKED),
    "many": (b",".join([b"gzip"] * 1000), PACKED),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_does_not_decode(server: wire.Origin, client: Origin, kind: str) -> None:
    coding, data = BROKEN[kind]
    server.behave("/a", coded(CE + coding + b"\r\n", data))
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


@pytest.mark.parametrize("cut_bytes", [9, 12, 0])
def test_a_whole_picture_without_the_end_of_its_coding(
    server: wire.Origin, client: Origin, cut_bytes: int
) -> None:
    """Somebody who knows the picture says that it is whole."""
    packer = zlib.compressobj(wbits=31)
    flushed = packer.compress(BODY) + packer.flush(zlib.Z_SYNC_FLUSH)
    data = flushed if not cut_bytes else flushed + packer.flush()[:-cut_bytes]
    server.behave("/a", coded(CE + b"gzip\r\n", data))
    blocks: list[bytes] = []
    url = Url.parse(server.url("/a"))
    client.download(url, blocks.append, is_whole=lambda: b"".join(blocks) == BODY)
    assert b"".join(blocks) == BODY
    with pytest.raises(errors.OriginProtocol):
        fetch(client, server.url("/a"))


def test_the_coding_of_an_error_does_not_matter(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.answer(404, {"Content-Encoding": "br"}, b"none"))
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/a"))


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"gzip, UTF-8"])
def test_an_empty_body_is_empty(server: wire.Origin, client: Origin, coding: bytes) -> None:
    server.behave("/a", coded(CE + coding + b"\r\n", b"", keep=True))
    assert fetch(client, server.url("/a"))[1] == b""


def bomb(layers: int) -> bytes:
    """Return 100 MB of zeros, packed."""
    packer = zlib.compressobj(9, wbits=31)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    for _ in range(layers - 1):
        data = gzip.compress(data, 9)
    return data


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_bombs(server: wire.Origin, settings: Download, layers: int) -> None:
    server.behave("/a", coded(CE + b", ".join([b"gzip"] * layers) + b"\r\n", bomb(layers)))
    client = Origin(dataclasses.replace(settings, max_bytes=2_000_000))
    written: list[bytes] = []
    with pytest.raises(errors.TooManyBytes):
        client.download(Url.parse(server.url("/a")), written.append)
    assert sum(map(len, written)) <= 2_000_000


def test_a_bomb_that_comes_to_nothing(server: wire.Origin, settings: Download) -> None:
    """The inner layer yields no byte, whatever comes: the outer one's are counted, too."""
    empty_blocks = bytes([0, 0, 0, 0xFF, 0xFF]) * (1 << 22)
    inner = b"\x1f\x8b\x08" + bytes(7) + empty_blocks
    server.behave("/a", coded(CE + b"gzip, gzip\r\n", gzip.compress(inner, 1)))
    client = Origin(dataclasses.replace(settings, max_bytes=2_000_000))
    with pytest.raises(errors.TooManyBytes):
        fetch(client, server.url("/a"))


def test_exactly_as_many_decoded_bytes_as_allowed(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", coded(CE + b"gzip\r\n", gzip.compress(BODY)))
    exact = Origin(dataclasses.replace(settings, max_bytes=len(BODY)))
    assert fetch(exact, server.url("/a"))[1] == BODY
    with pytest.raises(errors.TooManyBytes):
        fetch(Origin(dataclasses.replace(settings, max_bytes=len(BODY) - 1)), server.url("/a"))
