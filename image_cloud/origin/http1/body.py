"""A response's body on the wire: of a length, chunked, or up to the connection's end."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Iterator

from image_cloud.errors import OriginProtocol, OriginReset, OriginTimeout
from image_cloud.origin.http1.inbound import Inbound

# Each block is a step of Python for hashing and writing it, and a change of threads.
BLOCK_BYTES = 512 * 1024
QUIET_S, LONG_QUIET_S = 2.0, 4.0
LONGEST_LINE_BYTES = 16 * 1024
# Chunk lines may take this much more than the data: each of them is a step of Python.
FREE_OVERHEAD_BYTES = 1024 * 1024
_CHUNK = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_CHUNK_START = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*(?:[;\r\n]|\Z)")


class Body:
    """Yields blocks of up to BLOCK_BYTES, or `as_it_comes` what there is, without waiting for more.

    An empty block comes before a wait.  A body that `is_whole` ends after a silence: servers leave
    connections open behind wrong lengths and missing last chunks.
    Raises OriginReset, OriginProtocol and OriginTimeout.  Afterwards `is_complete` says that the
    declared end came, and `is_clean` that the next response would begin behind it.
    """

    def __init__(self, inbound: Inbound, read_timeout_s: float, *, as_it_comes: bool) -> None:
        self._inbound = inbound
        self._gathers = not as_it_comes
        self._read_timeout_s = read_timeout_s
        # All waits but the last are for a part of the timeout, to look whether the body is whole.
        self._wait_s = read_timeout_s / math.ceil(read_timeout_s / QUIET_S)
        self._silent_s = 0.0
        self.is_whole: Callable[[], bool] = lambda: False
        self.is_complete = self.is_clean = False

    def of_length(self, length_bytes: int) -> Iterator[bytes]:
        """Yield exactly so many bytes, or fewer that are whole."""
        self._inbound.sock.settimeout(self._wait_s)
        return self._exactly(length_bytes)

    def to_the_end(self) -> Iterator[bytes]:
        """Yield what comes until the connection ends."""
        self._inbound.sock.settimeout(self._wait_s)
        while True:
            block, silence = self._gather(BLOCK_BYTES)
            yield block
            if silence and self._ends(silence, QUIET_S):
                return
            if not silence and not block:
                return

    def chunked(self) -> Iterator[bytes]:
        """Yield the data of all chunks, small ones together."""
        self._inbound.sock.settimeout(self._wait_s)
        pending, count_bytes = [], 0
        for piece in self._chunks():
            pending.append(piece)
            count_bytes += len(piece)
            if count_bytes >= BLOCK_BYTES or not piece or not self._gathers:
                yield b"".join(pending)
                pending, count_bytes = [], 0
        yield b"".join(pending)

    def begins_with_a_chunk(self) -> bool:
        """Say whether what comes looks like a chunk."""
        return bool(_CHUNK_START.match(self._inbound.peek()))

    def _exactly(self, length_bytes: int) -> Iterator[bytes]:
        left_bytes = length_bytes
        while left_bytes:
            block, silence = self._gather(min(left_bytes, BLOCK_BYTES))
            if not silence and not block:
                sent = f"sent {length_bytes - left_bytes} of {length_bytes} bytes"
                raise OriginReset(f"the origin {sent}")
            left_bytes -= len(block)
            self.is_complete = self.is_clean = not left_bytes
            yield block
            if silence:
                yield b""
                if self._ends(silence, LONG_QUIET_S):
                    return
        self.is_complete = self.is_clean = True

    def _chunks(self) -> Iterator[bytes]:
        allowed_bytes = FREE_OVERHEAD_BYTES
        while line := (yield from self._line()):
            size_bytes = _size_of(line)
            if not size_bytes:
                break
            yield from self._exactly(size_bytes)
            is_cut, self.is_complete, self.is_clean = not self.is_complete, False, False
            end = b"" if is_cut else (yield from self._line())
            if not end:
                return
            if end.strip(b" \t\r\n"):
                raise OriginProtocol("malformed response: a chunk is not of its length")
            allowed_bytes += size_bytes - len(line) - len(end)
            if allowed_bytes < 0:
                raise OriginProtocol("malformed response: too many small chunks")
        if line:
            # All data is there; a server that goes on with trailers is not waited for.
            self.is_complete = True
            self.is_clean = self._inbound.starts_with_blank_line()

    def _line(self) -> Generator[bytes, None, bytes]:
        """Return the next line, an empty one where the body ends without it."""
        while True:
            try:
                line = self._inbound.line(LONGEST_LINE_BYTES)
            except OriginTimeout as silence:
                yield b""
                if self._ends(silence, LONG_QUIET_S):
                    return b""
            else:
                self._silent_s = 0.0
                return line

    def _ends(self, silence: OriginTimeout, quiet_s: float) -> bool:
        """Say whether the body ends after another silent wait.  Raises `silence` once it is too long."""
        self._silent_s += self._wait_s
        is_last = self._silent_s > self._read_timeout_s - self._wait_s / 2
        if (is_last or self._silent_s >= quiet_s) and self.is_whole():
            return True
        if is_last:
            raise silence
        return False

    def _gather(self, most_bytes: int) -> tuple[bytes, OriginTimeout | None]:
        """Return what comes; less than `most_bytes` means an end or a silence, where it gathers."""
        parts, count_bytes = [], 0
        try:
            while count_bytes < most_bytes:
                part = self._inbound.some(most_bytes - count_bytes)
                if not part:
                    break
                self._silent_s = 0.0
                parts.append(part)
                count_bytes += len(part)
                if not self._gathers:
                    break
        except OriginTimeout as silence:
            return b"".join(parts), silence
        return parts[0] if len(parts) == 1 else b"".join(parts), None


def _size_of(line: bytes) -> int:
    match = _CHUNK.fullmatch(line)
    if not match:
        raise OriginProtocol("malformed response: a chunk without a length")
    return int(match[1], 16)
