"""Raw requests, kept alive: to nginx, and past it to the front pool's own socket."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

TIMEOUT_S = 60.0


class Wire:
    """One connection that takes any bytes as a query; opened again where the server closed it."""

    def __init__(self, address: str | Path, token: str, source: str = "127.0.0.1") -> None:
        """`address` is HOST:PORT, asked from the address `source`, or a socket file; all carry `token`."""
        self._address = address
        self._token = token
        self._source = source
        self._sock: socket.socket | None = None

    def get(
        self, target: bytes, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body."""
        lines = {"Host": "test", "X-Image-Cloud-Token": self._token, **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        request = method.encode() + b" " + target + b" HTTP/1.1\r\n" + head.encode() + b"\r\n"
        for last in (False, True):
            sock = self._sock or self._connect()
            try:
                sock.sendall(request)
                return self._read(sock, method)
            except (OSError, http.client.HTTPException):
                self.close()
                if last:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._sock:
            self._sock.close()
            self._sock = None

    def _connect(self) -> socket.socket:
        if isinstance(self._address, Path):
            self._sock = socket.socket(socket.AF_UNIX)
            self._sock.settimeout(TIMEOUT_S)
            self._sock.connect(str(self._address))
        else:
            host, _, port = self._address.rpartition(":")
            self._sock = socket.create_connection(
                (host, int(port)), TIMEOUT_S, source_address=(self._source, 0)
            )
        return self._sock

    def _read(self, sock: socket.socket, method: str) -> tuple[int, dict[str, str], bytes]:
        answer = http.client.HTTPResponse(sock, method=method)
        answer.begin()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
