"""The parser of response heads: any bytes, in bounded work."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from image_cloud.errors import OriginProtocol
from image_cloud.origin.http1.codings import Decoded
from image_cloud.origin.http1.framing import framing_of
from image_cloud.origin.http1.head import HeadEnd, parse

OK = b"HTTP/1.1 200 OK\r\n"
PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"a", b"HTTP", b"/1.1", b" 200", OK,
     b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff\xfe"]
)  # fmt: skip
HEADS = st.one_of(
    st.binary(max_size=200),
    st.lists(PIECES, max_size=40).map(b"".join),
    st.lists(PIECES, max_size=40).map(lambda pieces: OK + b"".join(pieces)),
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True)
JUNK = st.sampled_from(
    [b"no colon", b": no name", b"in name: x", b"X-NUL: \0", b"\xe4: x", b"<br>"]
)


@hypothesis.given(HEADS)
def test_any_bytes_are_a_head_or_an_error(block: bytes) -> None:
    with contextlib.suppress(OriginProtocol):
        head = parse(block)
        framing_of(head)
        assert 100 <= head.status <= 999


@hypothesis.given(st.lists(st.tuples(NAMES, VALUES), max_size=20), st.data())
def test_good_lines_count_whatever_stands_between(
    fields: list[tuple[str, str]], data: st.DataObject
) -> None:
    lines = [OK]
    wanted: dict[str, list[str]] = {}
    for name, value in fields:
        lines += [line + b"\r\n" for line in data.draw(st.lists(JUNK, max_size=2))]
        lines.append(f"{name}:{value}\r\n".encode())
        wanted.setdefault(name.lower(), []).append(value)
    head = parse(b"".join(lines) + b"\r\n")
    assert head.fields == wanted
    assert head.is_clean == (len(lines) == len(fields) + 1)


def end_in_pieces(block: bytes, pieces: list[int]) -> int | None:
    """Return where the head ends that comes in pieces of these sizes."""
    scan, buffer = HeadEnd(), bytearray()
    for size in [*pieces, len(block)]:
        buffer += block[len(buffer) : len(buffer) + size]
        with contextlib.suppress(OriginProtocol):
            end = scan.find(buffer)
            if end is not None:
                return end
    return None


@hypothesis.given(HEADS, st.lists(st.integers(1, 9), max_size=60))
def test_the_end_is_where_it_is_however_the_head_comes(block: bytes, pieces: list[int]) -> None:
    assert end_in_pieces(block, pieces) == end_in_pieces(block, [1] * len(block))


def lines_run(work: Callable[[], Any]) -> int:
    """Return how many lines of Python `work` runs through."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(OriginProtocol):
            work()
    finally:
        sys.settrace(before)
    return count


def read(block: bytes, piece_bytes: int) -> None:
    end_in_pieces(block, [piece_bytes] * (len(block) // piece_bytes))
    framing_of(parse(block))


HOSTILE = [
    b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"a", b"a\r\n", b"a:\r\n", b" a\r\n", b"a:b\r\n c\r\n",
    b"\r\r\r", b"\r\ra", b"Content-Length: 1\r\n", b"Content-Length: ,\r\n", b"Content-Encoding: gzip,\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Connection: ,,\r\n", b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_work_is_linear(unit: bytes) -> None:
    """Twice the bytes take at most twice the steps, however they come."""
    sizes = [(times, piece_bytes) for piece_bytes in (7, 4096) for times in (2000, 4000)]
    steps = {
        size: lines_run(functools.partial(read, OK + unit * size[0], size[1])) for size in sizes
    }
    for piece_bytes in (7, 4096):
        assert steps[4000, piece_bytes] <= 2.1 * steps[2000, piece_bytes] + 100
        assert steps[4000, piece_bytes] <= 40 * 4000 * len(unit) + 1000


@hypothesis.given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    st.lists(st.sampled_from(["gzip", "deflate"]), max_size=3),
    st.booleans(),
)
def test_any_bytes_decode_or_are_an_error(
    blocks: list[bytes], codings: list[str], certain: bool
) -> None:
    marked = [b"\x1f\x8b\x08" + block for block in blocks]
    for sent in (blocks, marked):
        with contextlib.suppress(OriginProtocol):
            decoded = b"".join(
                Decoded(sent, tuple(codings), 10_000, lambda: False, certain=certain)
            )
            assert len(decoded) <= 10_000
