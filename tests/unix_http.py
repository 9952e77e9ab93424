"""HTTP to a pool's unix socket."""

from __future__ import annotations

import contextlib
import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """A connection to the socket file `path`; `timeout_s` bounds every wait."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def is_heard(path: str) -> bool:
    """Say whether somebody listens at the socket file: it is there before anybody does."""
    connection = UnixConnection(path, 1.0)
    with contextlib.suppress(OSError), contextlib.closing(connection):
        connection.connect()
        return True
    return False
