"""An origin's answer: its framing is checked strictly, its body is read in bounded blocks."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from typing import BinaryIO

from image_cloud.errors import OriginProtocol, OriginReset
from image_cloud.origin import failures

# Each block is a step of Python for hashing and writing it, and a change of threads.
BLOCK_BYTES = 512 * 1024
SMALL_BYTES = 64 * 1024
MOST_HEAD_BYTES = 128 * 1024
_LONGEST_LINE_BYTES = 4096
_MOST_TRAILERS = 100
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class _Head:
    """The lines before the body: `http.client` takes an end within them for their end."""

    def __init__(self, body: BinaryIO) -> None:
        self.last = b""
        self._body = body
        self._left_bytes = MOST_HEAD_BYTES

    def readline(self, limit: int) -> bytes:
        self.last = self._body.readline(limit)
        self._left_bytes -= len(self.last)
        if self._left_bytes < 0:
            raise OriginProtocol("the origin sent too many headers")
        return self.last

    def close(self) -> None:
        self._body.close()


class Answer(http.client.HTTPResponse):
    """One answer.  `http.client` takes a negative length for none and a cut chunk for an end."""

    declared_bytes: int | None = None
    is_complete = False
    _is_untouched = True

    def begin(self) -> None:
        """Read status and headers; raise OriginProtocol for framing that is not trustworthy."""
        self._read_head()
        codings = self.headers.get_all("transfer-encoding", [])
        if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise OriginProtocol("the origin sent an unknown Transfer-Encoding")
        self.declared_bytes = _declared_bytes(self.headers.get_all("content-length", []))
        if codings:
            self.declared_bytes = None
        self.chunked = bool(codings)

    def blocks(self) -> Iterator[bytes]:
        """Yield the body in blocks of at most BLOCK_BYTES; `is_complete` tells of a known end.

        Raises OriginReset, OriginProtocol or OriginTimeout.
        """
        self._is_untouched = False
        if self.chunked:
            yield from self._chunks()
        elif self.declared_bytes is not None:
            yield from self._exactly(self.declared_bytes)
            self.is_complete = True
        else:
            while block := self._read(BLOCK_BYTES):
                yield block

    def leaves_clean(self, sock: socket.socket | None) -> bool:
        """Close the answer; return whether the connection may be used again.

        It may when the body was read to its end and nothing came after it.  A small body of an
        error or a redirect that is there already is read for that.  Does not wait.
        """
        with contextlib.suppress(OSError, ValueError), contextlib.closing(self):
            if sock is None or self.will_close or self.status < 200 or self.fp is None:
                return False
            sock.settimeout(0)
            expected = self.declared_bytes
            if self._is_untouched and expected is not None and expected <= SMALL_BYTES:
                self.is_complete = len(self.fp.read(expected) or b"") == expected
            return self.is_complete and self._is_all_read()
        return False

    def _is_all_read(self) -> bool:
        try:
            return not self.fp.peek(1)
        except ssl.SSLWantReadError:  # TLS's way of saying that nothing is there
            return True

    def _read_head(self) -> None:
        body = self.fp
        lines = _Head(body)
        self.fp = lines  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            self.fp = body if self.fp else self.fp
        if lines.last not in (b"\r\n", b"\n"):
            raise OriginReset("the origin broke off within its headers")

    def _read(self, most_bytes: int) -> bytes:
        try:
            return self.fp.read(most_bytes)
        except (OSError, ValueError) as error:
            raise _translated(error) from error

    def _line(self) -> bytes:
        try:
            line = self.fp.readline(_LONGEST_LINE_BYTES)
        except (OSError, ValueError) as error:
            raise _translated(error) from error
        if not line:
            raise OriginReset("the origin broke off between two chunks")
        return line

    def _exactly(self, wanted_bytes: int) -> Iterator[bytes]:
        left_bytes = wanted_bytes
        while left_bytes:
            block = self._read(min(left_bytes, BLOCK_BYTES))
            if not block:
                sent = f"sent {wanted_bytes - left_bytes} of {wanted_bytes} bytes"
                raise OriginReset(f"the origin {sent}")
            left_bytes -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while size_bytes := self._chunk_bytes():
            yield from self._exactly(size_bytes)
            if self._line() not in (b"\r\n", b"\n"):
                raise OriginProtocol("a chunk of the origin's answer is not of its length")
        for _ in range(_MOST_TRAILERS):
            if self._line() in (b"\r\n", b"\n"):
                self.is_complete = True
                return
        raise OriginProtocol("the origin sent too many trailers")

    def _chunk_bytes(self) -> int:
        match = _CHUNK_SIZE.fullmatch(self._line())
        if not match:
            raise OriginProtocol("the origin sent a chunk without a length")
        return int(match[1], 16)


def _translated(error: OSError | ValueError) -> Exception:
    """ValueError is what a file of a socket raises that the watchdog shut under it."""
    return failures.of_answer(error if isinstance(error, OSError) else OSError())


def _declared_bytes(values: list[str]) -> int | None:
    """Return the one Content-Length, None for no such header; conflicting ones are refused."""
    lengths = {part.strip() for value in values for part in value.split(",")}
    if not lengths:
        return None
    text = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,15}", text):
        raise OriginProtocol("the origin sent a Content-Length that cannot be understood")
    return int(text)
