"""What a connection brings, buffered: heads, lines and blocks."""

from __future__ import annotations

import re
import socket
import ssl

from image_cloud.errors import OriginProtocol, OriginReset
from image_cloud.origin import network_errors
from image_cloud.origin.http1.head import HeadEnd

READ_BYTES = 64 * 1024
_BLANK_LINE = re.compile(rb"\r?\n")


class Inbound:
    """Reads from a socket.  Raises OriginReset, OriginTimeout and OriginTls."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.has_begun = False
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """Say whether everything that came has been read."""
        return not self._buffer and not (
            isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        )

    def head(self, most_bytes: int) -> bytes:
        """Return the next head.  Raises OriginProtocol for more bytes and for what is not HTTP."""
        scan = HeadEnd()
        while (end := scan.find(self._buffer)) is None and len(self._buffer) <= most_bytes:
            if not self._more():
                raise OriginReset("the origin broke off within its headers")
        if end is None or end > most_bytes:
            raise OriginProtocol(f"malformed response: more than {most_bytes} bytes of headers")
        return self._take(end)

    def line(self, most_bytes: int) -> bytes:
        """Return the next line, its end included.  Raises OriginProtocol for a longer one."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched) + 1) == 0:
            searched = len(self._buffer)
            if searched > most_bytes:
                break
            if not self._more():
                raise OriginReset("the origin broke off between two chunks")
        if not 0 < end <= most_bytes:
            raise OriginProtocol(f"malformed response: a line of more than {most_bytes} bytes")
        return self._take(end)

    def peek(self) -> bytes:
        """Return what is there, at least one byte unless the connection ended."""
        if not self._buffer:
            self._more()
        return bytes(self._buffer)

    def some(self, most_bytes: int) -> bytes:
        """Return the next bytes, at least one unless the connection ended."""
        return self._take(most_bytes) if self._buffer else self._receive(most_bytes)

    def discard(self, count_bytes: int) -> bool:
        """Drop the next bytes if so many are there or come without waiting; say whether they did."""
        if len(self._buffer) < count_bytes:
            self.sock.settimeout(0)
        while len(self._buffer) < count_bytes and self._more():
            pass
        is_there = len(self._buffer) >= count_bytes
        del self._buffer[:count_bytes]
        return is_there

    def starts_with_blank_line(self) -> bool:
        """Take a blank line if it is there already; say whether it was."""
        match = _BLANK_LINE.match(self._buffer)
        if match:
            del self._buffer[: match.end()]
        return match is not None

    def _take(self, most_bytes: int) -> bytes:
        if most_bytes >= len(self._buffer):
            taken, self._buffer = bytes(self._buffer), bytearray()
            return taken
        with memoryview(self._buffer) as view:
            taken = bytes(view[:most_bytes])
        del self._buffer[:most_bytes]
        return taken

    def _more(self) -> bool:
        data = self._receive(READ_BYTES)
        self._buffer += data
        return bool(data)

    def _receive(self, most_bytes: int) -> bytes:
        try:
            data = self.sock.recv(most_bytes)
        except OSError as error:
            raise network_errors.of_answer(error) from error
        self.has_begun = True if data else self.has_begun
        return data
