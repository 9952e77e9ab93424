"""One connection to an origin: a socket, plain or TLS, and the exchanges on it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time

from image_cloud.errors import OriginReset
from image_cloud.origin import network_errors
from image_cloud.origin.deadlines import Deadline
from image_cloud.origin.http1.inbound import Inbound
from image_cloud.origin.http1.response import Response, receive
from image_cloud.picture.url import Url

Server = tuple[str, str, int]
LONGEST_IDLE_S = 60.0


class StaleConnection(Exception):
    """The origin closed a kept-alive connection before it saw the request."""


class Connection:
    """A connected socket to `server`: scheme, host and port."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self._sock = sock
        self._inbound = Inbound(sock)
        self._is_used = False
        self._used_s = 0.0

    def ask(self, request: bytes, read_timeout_s: float, deadline: Deadline) -> Response:
        """Send `request`; return when the head of its answer has come.

        Raises StaleConnection where a used connection broke before the answer's first byte, and
        OriginReset, OriginTimeout, OriginTls, OriginProtocol.
        """
        self._inbound.has_begun = False
        deadline.hold(self._sock)
        try:
            self._send(request, read_timeout_s)
            return receive(self._inbound, read_timeout_s)
        except OriginReset:
            if self._is_used and not self._inbound.has_begun and not deadline.passed:
                raise StaleConnection from None
            raise
        finally:
            self._is_used = True
            self._used_s = time.monotonic()

    def _send(self, request: bytes, timeout_s: float) -> None:
        try:
            self._sock.settimeout(timeout_s)
            self._sock.sendall(request)
        except OSError as error:
            raise network_errors.of_answer(error) from error

    def is_idle(self) -> bool:
        """Say whether it still stands: a firewall forgets it without a word after minutes."""
        if time.monotonic() - self._used_s > LONGEST_IDLE_S:
            return False
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def server_of(url: Url) -> Server:
    """Return what a connection for `url` leads to."""
    return url.scheme, url.host, url.port


def shake_hands(
    sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline
) -> ssl.SSLSocket:
    """Return the TLS connection over `sock`, which keeps its timeout.  Raises OriginTls, OriginTimeout."""
    with contextlib.ExitStack() as undo:
        undo.enter_context(sock)
        try:
            tls = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            undo.enter_context(tls)
            deadline.hold(tls)
            tls.do_handshake()
        except OSError as error:
            raise network_errors.of_handshake(error) from error
        undo.pop_all()
    return tls
