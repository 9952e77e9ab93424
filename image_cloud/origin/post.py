"""POST requests to where a client wants them: the address and port rules of downloads, and no redirects."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

from image_cloud.config.sections import Download
from image_cloud.errors import OriginFailed
from image_cloud.origin.connections import tls_context
from image_cloud.origin.deadlines import Deadline, deadlines
from image_cloud.origin.dial import Dialer, Resolve
from image_cloud.origin.http1.connection import Connection, server_of, shake_hands
from image_cloud.origin.policy import Policy
from image_cloud.picture.url import Url


class Poster:
    """Sends a body within `timeout_s`, from the name's resolution to the answer's head; for any thread.

    `resolve` has the form of `socket.getaddrinfo`.
    """

    def __init__(
        self, settings: Download, timeout_s: float, *, resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._policy = Policy(settings)
        self._dialer = Dialer(self._policy, resolve)
        self._user_agent = settings.user_agent
        self._ca_file = settings.ca_file
        self._timeout_s = timeout_s

    def post(self, url: Url, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; its body is not read.

        Raises UrlForbidden, OriginFailed and OriginTimeout.
        """
        self._policy.check_url(url)
        deadline = Deadline(self._timeout_s)
        deadlines().add(deadline)
        try:
            return self._answered(url, self._request(url, body, headers), deadline)
        except OriginFailed as error:
            if deadline.passed:  # what broke was cut for its time
                raise deadline.error() from error
            raise
        finally:
            deadline.hold(None)
            deadlines().discard(deadline)

    def _answered(self, url: Url, request: bytes, deadline: Deadline) -> int:
        sock = self._dialer.dial(url.host, url.port, deadline.left_s(), deadline.hold)
        with contextlib.closing(sock):
            if url.scheme == "https":
                sock.settimeout(deadline.left_s())
                sock = shake_hands(sock, tls_context(self._ca_file), url.host, deadline)
            connection = Connection(server_of(url), sock)
            with contextlib.closing(connection):
                return connection.ask(request, deadline.left_s(), deadline).status

    def _request(self, url: Url, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = {
            "Host": url.host_header,
            "User-Agent": self._user_agent,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {url.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
