"""The guarded connections of `requests`: every address is checked when it is dialled."""

from __future__ import annotations

import dataclasses
import http.client
import logging
import socket
import ssl
import threading
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

from image_cloud.config.sections import Download
from image_cloud.origin import failures
from image_cloud.origin.answer import Answer
from image_cloud.origin.dial import Dialer
from image_cloud.origin.watchdog import Deadline
from image_cloud.picture.url import Url

# Idle connections: at most this many origins, and this many to each.
IDLE_ORIGINS, IDLE_PER_ORIGIN = 128, 8

# urllib3 warns of every connection too many and of every odd header: an origin's doing, not news.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class StaleConnection(Exception):
    """The origin closed a kept-alive connection before it saw the request."""


@dataclasses.dataclass
class Exchange:
    """One request and its answer."""

    url: Url
    deadline: Deadline
    only_fresh: bool = False  # do not use a kept-alive connection
    answer: Answer = dataclasses.field(init=False)
    sock: socket.socket | None = None


class _Current(threading.local):
    exchange: Exchange


# urllib3 hands nothing of ours down to a connection; a thread has one exchange at a time.
_current = _Current()


class _Guarded(HTTPConnection):
    """A connection that dials through the guard, for the exchange of the thread that uses it."""

    dialer: Dialer
    connect_timeout_s: float
    _has_answered = False

    def _new_conn(self) -> socket.socket:
        url, deadline = _current.exchange.url, _current.exchange.deadline
        timeout_s = min(self.connect_timeout_s, deadline.left_s())
        sock = self.dialer.dial(url.host, url.port, timeout_s, deadline.hold)
        sock.settimeout(min(self.connect_timeout_s, deadline.left_s()))
        return sock

    def connect(self) -> None:
        """Dial, and shake hands where it is TLS."""
        self._has_answered = False
        try:
            super().connect()
        except OSError as error:
            raise failures.of_handshake(error) from error

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Send the target as it is: urllib3 would rewrite its escapes."""
        super().putrequest(method, _current.exchange.url.target, *args, **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send the request, on a new connection where the exchange wants one."""
        exchange = _current.exchange
        if exchange.only_fresh and self._has_answered:
            self.close()
        if self.sock is None:
            self.connect()
        exchange.sock = self.sock
        exchange.deadline.hold(self.sock)
        try:
            super().request(*args, **kwargs)
        except OSError as error:
            raise self._failure(error) from error

    def response_class(self, *args: Any, **kwargs: Any) -> Answer:  # type: ignore[override]
        """Make the answer that `http.client` reads into, and let the exchange know it."""
        _current.exchange.answer = answer = Answer(*args, **kwargs)
        return answer

    def getresponse(self) -> Any:
        """Read status and headers of the answer."""
        try:
            response = super().getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(error) from error
        self._has_answered = True
        return response

    def _failure(self, error: OSError | http.client.HTTPException) -> Exception:
        if self._has_answered and isinstance(error, (ConnectionError, ssl.SSLEOFError)):
            return StaleConnection()
        return failures.of_answer(error)


class GuardedAdapter(HTTPAdapter):
    """The adapter of `requests` with guarded connections, kept alive per scheme, host and port.

    Raises OSError or ssl.SSLError for a CA file that cannot be read.
    """

    def __init__(self, settings: Download, dialer: Dialer) -> None:
        self._members = {"dialer": dialer, "connect_timeout_s": settings.connect_timeout}
        self._tls = ssl.create_default_context(cafile=settings.ca_file or certifi.where())
        self._timeout = Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._headers = {
            "User-Agent": settings.user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        super().__init__(IDLE_ORIGINS, IDLE_PER_ORIGIN)
        self.max_retries = Retry.from_int(False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Give the pools our connections."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)
        plain = type("Plain", (_Guarded,), self._members)
        tls = type("Tls", (_Guarded, HTTPSConnection), self._members)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }

    def exchange(self, exchange: Exchange) -> tuple[requests.Response, Answer]:
        """Send the request of `exchange`; return when the answer's headers are there.

        The body is read from the Answer; the Response releases or closes the connection.
        """
        _current.exchange = exchange
        request = requests.PreparedRequest()
        request.method, request.url = "GET", exchange.url.text
        request.headers = {"Host": exchange.url.host_header, **self._headers}  # type: ignore[assignment]
        response = self.send(request, stream=True, timeout=self._timeout)  # type: ignore[arg-type]
        return response, exchange.answer

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """Return the pool; `requests` would parse the URL again, and look for a proxy."""
        url = _current.exchange.url
        pool: HTTPConnectionPool = self.poolmanager.connection_from_host(
            url.host, url.port, url.scheme
        )
        return pool

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Leave the certificates to the pools' TLS context."""

    def build_response(self, _req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the least of a Response: no cookie is read, the headers are the Answer's."""
        response = requests.Response()
        response.status_code, response.raw = resp.status, resp
        return response

    def request_url(self, *_args: Any, **_kwargs: Any) -> str:
        """Return what the request line asks for."""
        return _current.exchange.url.target
