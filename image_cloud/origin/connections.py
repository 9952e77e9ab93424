"""The connections to origins: guarded when they are dialled, and kept for the next request."""

from __future__ import annotations

import collections
import contextlib
import functools
import ssl
import threading
from collections.abc import Iterator

from image_cloud.config.sections import Download
from image_cloud.origin.deadlines import Deadline
from image_cloud.origin.dial import Dialer
from image_cloud.origin.http1.connection import (
    Connection,
    Server,
    StaleConnection,
    server_of,
    shake_hands,
)
from image_cloud.origin.http1.response import Response
from image_cloud.picture.url import Url

# Idle connections: at most this many in all, and this many to each server.
IDLE, IDLE_PER_SERVER = 512, 8


class Connections:
    """Dials through `dialer`, and keeps connections per scheme, host and port; for any number of threads."""

    def __init__(self, settings: Download, dialer: Dialer) -> None:
        self._dialer = dialer
        self._connect_timeout_s = settings.connect_timeout
        self._read_timeout_s = settings.read_timeout
        self._ca_file = settings.ca_file
        self._idle: collections.OrderedDict[Server, list[Connection]] = collections.OrderedDict()
        self._count = 0
        self._mutex = threading.Lock()

    @contextlib.contextmanager
    def exchange(self, url: Url, request: bytes, deadline: Deadline) -> Iterator[Response]:
        """Send `request` to the server of `url` and give its answer.

        Afterwards the connection is kept if nothing is left on it, else closed.  Raises what
        Dialer.dial raises, OriginTls, OriginReset, OriginTimeout and OriginProtocol.
        """
        connection, response = self._ask(url, request, deadline)
        try:
            yield response
        finally:
            deadline.hold(None)
            if response.leaves_clean():
                self._keep(connection)
            else:
                connection.close()

    def _ask(self, url: Url, request: bytes, deadline: Deadline) -> tuple[Connection, Response]:
        """Send the request; once more where a kept connection turns out to be closed."""
        kept = self._take(url)
        if kept:
            with contextlib.suppress(StaleConnection):
                return kept, self._send(kept, request, deadline)
        new = self._dial(url, deadline)
        return new, self._send(new, request, deadline)

    def _send(self, connection: Connection, request: bytes, deadline: Deadline) -> Response:
        try:
            return connection.ask(request, self._read_timeout_s, deadline)
        except BaseException:
            connection.close()
            raise

    def _take(self, url: Url) -> Connection | None:
        """Return an idle connection that still stands, None without one."""
        server = server_of(url)
        while connection := self._pop(server):
            if connection.is_idle():
                return connection
            connection.close()
        return None

    def _dial(self, url: Url, deadline: Deadline) -> Connection:
        timeout_s = min(self._connect_timeout_s, deadline.left_s())
        sock = self._dialer.dial(url.host, url.port, timeout_s, deadline.hold)
        if url.scheme == "https":
            sock.settimeout(min(self._connect_timeout_s, deadline.left_s()))
            sock = shake_hands(sock, tls_context(self._ca_file), url.host, deadline)
        return Connection(server_of(url), sock)

    def _keep(self, connection: Connection) -> None:
        """Keep a connection on which nothing is left; the longest unused server's make room."""
        with self._mutex:
            idle = self._idle.setdefault(connection.server, [])
            self._idle.move_to_end(connection.server)
            idle.append(connection)
            self._count += 1
            surplus = self._surplus(idle)
        for one in surplus:
            one.close()

    def _surplus(self, idle: list[Connection]) -> list[Connection]:
        surplus = []
        if len(idle) > IDLE_PER_SERVER:
            surplus.append(idle.pop(0))
        elif self._count > IDLE:
            server, oldest = next(iter(self._idle.items()))
            surplus.append(oldest.pop(0))
            if not oldest:
                del self._idle[server]
        self._count -= len(surplus)
        return surplus

    def _pop(self, server: Server) -> Connection | None:
        with self._mutex:
            idle = self._idle.get(server)
            if not idle:
                return None
            connection = idle.pop()
            self._count -= 1
            if not idle:
                del self._idle[server]
            return connection


@functools.lru_cache(maxsize=8)
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what checks origins' certificates against those in `ca_file`, by default the bundled ones.

    Reading them takes as long as many downloads, and 4 MB.  Raises OSError or ssl.SSLError where that fails.
    """
    if not ca_file:
        import certifi  # with importlib.resources; most processes check no certificate

        ca_file = certifi.where()
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
