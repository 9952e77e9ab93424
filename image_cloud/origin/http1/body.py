"""A response's body on the wire: of a length, chunked, or up to the connection's end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from image_cloud.errors import OriginProtocol, OriginReset, OriginTimeout
from image_cloud.origin.http1.inbound import Inbound

# Each block is a step of Python for hashing and writing it, and a change of threads.
BLOCK_BYTES = 512 * 1024
QUIET_S = 2.0
LONGEST_LINE_BYTES = 16 * 1024
# Chunk lines may take this much more than the data: each of them is a step of Python.
FREE_OVERHEAD_BYTES = 1024 * 1024
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_CHUNK_START = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*(?:[;\r\n]|\Z)")


class Body:
    """Yields blocks of up to BLOCK_BYTES, or `as_it_comes` what there is, without waiting for more.

    Raises OriginReset, OriginProtocol and OriginTimeout.  Afterwards `is_complete` says that the
    declared end came, and `is_clean` that the next response would begin behind it.
    """

    def __init__(self, inbound: Inbound, read_timeout_s: float, *, as_it_comes: bool) -> None:
        self._inbound = inbound
        self._gathers = not as_it_comes
        self._read_timeout_s = read_timeout_s
        self.is_complete = self.is_clean = False

    def of_length(self, length_bytes: int) -> Iterator[bytes]:
        """Yield exactly so many bytes."""
        left_bytes = length_bytes
        while left_bytes:
            block, silence = self._gather(min(left_bytes, BLOCK_BYTES))
            if silence or not block:
                sent = f"sent {length_bytes - left_bytes} of {length_bytes} bytes"
                raise silence or OriginReset(f"the origin {sent}")
            left_bytes -= len(block)
            self.is_complete = self.is_clean = not left_bytes
            yield block
        self.is_complete = self.is_clean = True

    def to_the_end(self, is_whole: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what comes until the connection ends; silence ends it, too, once `is_whole`.

        The server that sent no usable length may well keep the connection open.
        """
        quiet_s, silent_s = min(QUIET_S, self._read_timeout_s), 0.0
        self._inbound.sock.settimeout(quiet_s)
        while True:
            block, silence = self._gather(BLOCK_BYTES)
            if block:
                silent_s = 0.0
                yield block
            if silence:
                silent_s += quiet_s
                if is_whole():
                    return
                if silent_s >= self._read_timeout_s:
                    raise silence
            elif not block:
                return

    def chunked(self) -> Iterator[bytes]:
        """Yield the data of all chunks, small ones together."""
        pending, count_bytes = [], 0
        for piece in self._chunks():
            pending.append(piece)
            count_bytes += len(piece)
            if count_bytes >= BLOCK_BYTES or not self._gathers:
                yield b"".join(pending)
                pending, count_bytes = [], 0
        if pending:
            yield b"".join(pending)

    def begins_with_a_chunk(self) -> bool:
        """Say whether what comes looks like a chunk: old servers only said so."""
        return bool(_CHUNK_START.match(self._inbound.peek()))

    def _chunks(self) -> Iterator[bytes]:
        allowed_bytes = FREE_OVERHEAD_BYTES
        while size_bytes := self._chunk_bytes():
            yield from self.of_length(size_bytes)
            self.is_complete = self.is_clean = False
            end = self._inbound.line(LONGEST_LINE_BYTES)
            if end.strip(b" \t\r\n"):
                raise OriginProtocol("malformed response: a chunk is not of its length")
            allowed_bytes += size_bytes - self._line_bytes - len(end)
            if allowed_bytes < 0:
                raise OriginProtocol("malformed response: too many small chunks")
        # All data is there; a server that goes on with trailers is not waited for.
        self.is_complete = True
        self.is_clean = self._inbound.starts_with_blank_line()

    def _chunk_bytes(self) -> int:
        line = self._inbound.line(LONGEST_LINE_BYTES)
        self._line_bytes = len(line)
        match = _CHUNK.fullmatch(line)
        if not match:
            raise OriginProtocol("malformed response: a chunk without a length")
        return int(match[1], 16)

    def _gather(self, most_bytes: int) -> tuple[bytes, OriginTimeout | None]:
        """Return what comes; less than `most_bytes` means an end or a silence, where it gathers."""
        parts, count_bytes = [], 0
        try:
            while count_bytes < most_bytes:
                part = self._inbound.some(most_bytes - count_bytes)
                if not part:
                    break
                parts.append(part)
                count_bytes += len(part)
                if not self._gathers:
                    break
        except OriginTimeout as silence:
            return b"".join(parts), silence
        return parts[0] if len(parts) == 1 else b"".join(parts), None
