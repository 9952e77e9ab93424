"""An origin on loopback that does as it is told, well or badly, for every suite.

    with Origin() as origin:
        origin.serve("/a.jpg", jpeg)                          # a well-behaved answer
        origin.behave("/b.jpg", redirect("/a.jpg"))           # one of the behaviours below
        origin.behave("/c.jpg", lambda call: call.send(b"what stands on the wire"))
        origin.url("/a.jpg"), origin.count("/a.jpg"), origin.most_parallel, origin.requests

A path without a query answers for every query.  An unknown path is a 404.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

REASONS = {200: "OK", 302: "Found", 404: "Not Found", 410: "Gone", 429: "Too Many Requests"}
Headers = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Request:
    """One request as it came; header names are lower-case."""

    target: str
    headers: Headers
    connection: int  # which connection, counted from 1
    at_s: float  # time.monotonic()
    method: str = "GET"
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Call:
    """One request and the ways to answer it."""

    def __init__(self, origin: Origin, sock: socket.socket, request: Request) -> None:
        self.origin, self.sock, self.request = origin, sock, request
        self.keep = False  # whether the connection takes another request
        self._counts = True

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(
        self, body: bytes = b"", *, status: int = 200, headers: Headers | None = None
    ) -> None:
        """Answer well: with a length, and keep the connection alive."""
        with_length = {"Content-Length": str(len(body)), **(headers or {})}
        # Who has the last byte may send the next request before this thread runs again.
        self.leave()
        self.send(head(status, with_length) + body)
        self.keep = True

    def leave(self) -> None:
        """Count as under way no longer."""
        if self._counts:
            self._counts = False
            self.origin.count_down()

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the origin is still running."""
        return not self.origin.stopping.wait(seconds)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Call], object]


class Origin:
    """A threaded HTTP server on a free port of loopback; a context manager."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self.stopping = threading.Event()
        self.requests: list[Request] = []
        self.connections = 0
        self.parallel = self.most_parallel = 0
        self._tls = tls
        self._behaviours: dict[str, Behaviour] = {}
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family, backlog=512)
        self.address, self.port = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Origin:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and break every connection off; the port refuses from now on."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            open_sockets = list(self._open)
        for sock in open_sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def url(self, path: str = "/", host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        default = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}://{host or default}:{self.port}{path}"

    @property
    def sample_origin(self) -> str:
        """The value of `download.sample_origin` that allows this origin."""
        return f"{self.address}:{self.port}"

    def serve(
        self, path: str, body: bytes, *, content_type: str = "image/jpeg", status: int = 200,
        headers: Headers | None = None,
    ) -> str:  # fmt: skip
        """Answer `path` with `body`; return its URL."""
        given = {"Content-Type": content_type, **(headers or {})}
        return self.behave(path, lambda call: call.reply(body, status=status, headers=given))

    def behave(self, path: str, behaviour: Behaviour, host: str | None = None) -> str:
        """Answer `path` as `behaviour` does; return its URL."""
        self._behaviours[path] = behaviour
        return self.url(path, host)

    def count(self, path: str) -> int:
        """Return how many requests came for `path`, whatever their query."""
        with self._lock:
            return sum(request.path == path for request in self.requests)

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(collections.Counter(request.path for request in self.requests))

    def await_idle(self, timeout_s: float = 10.0) -> None:
        """Return when no connection is open any more; raise TimeoutError if some stay."""
        until_s = time.monotonic() + timeout_s
        while self._open:
            if time.monotonic() > until_s:
                raise TimeoutError("connections are still open")
            self.stopping.wait(0.01)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(sock)
            threading.Thread(target=self._talk, args=(sock, number), daemon=True).start()

    def _talk(self, raw: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError), raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            with self._lock:
                self._open.add(sock)
            with sock, sock.makefile("rb") as lines:
                while request := _read_request(lines, number):
                    if not self._answer(Call(self, sock, request)):
                        break
            with self._lock:
                self._open.discard(sock)
        with self._lock:
            self._open.discard(raw)

    def _answer(self, call: Call) -> bool:
        request = call.request
        default = self._behaviours.get(request.path, answer_404)
        self._count_up(request)
        try:
            self._behaviours.get(request.target, default)(call)
        finally:
            call.leave()
        return call.keep and request.headers.get("connection") != "close"

    def _count_up(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            self.parallel += 1
            self.most_parallel = max(self.most_parallel, self.parallel)

    def count_down(self) -> None:
        """One request less is under way."""
        with self._lock:
            self.parallel -= 1


def _read_request(lines: BinaryIO, connection: int) -> Request | None:
    first = lines.readline().decode("latin-1").split(" ")
    if len(first) != 3:
        return None
    headers = {}
    while (line := lines.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = lines.read(int(headers.get("content-length", "0")))
    return Request(first[1], headers, connection, time.monotonic(), first[0], body)


def head(status: int, headers: Headers) -> bytes:
    """Return a status line and headers as they stand on the wire."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# --- behaviours ----------------------------------------------------------------------------------


def answer_404(call: Call) -> None:
    call.reply(b"no such picture", status=404, headers={"Content-Type": "text/plain"})


def answer(status: int, headers: Headers | None = None, body: bytes = b"") -> Behaviour:
    """Answer with `status`, like 410, 500, or 429 with {"Retry-After": "7"}."""
    return lambda call: call.reply(body, status=status, headers=headers)


def redirect(location: str, status: int = 302) -> Behaviour:
    return lambda call: call.reply(b"moved", status=status, headers={"Location": location})


def raw(data: bytes, *, keep: bool = False) -> Behaviour:
    """Send `data` as it is; then close, or `keep` the connection for another request."""

    def behaviour(call: Call) -> None:
        call.send(data)
        call.keep = keep

    return behaviour


def raw_and_hold(data: bytes) -> Behaviour:
    """Send `data` as it is, and then nothing on an open connection."""

    def behaviour(call: Call) -> None:
        call.send(data)
        silent(call)

    return behaviour


def html(call: Call) -> None:
    call.reply(b"<!doctype html><title>Sorry</title>", headers={"Content-Type": "text/html"})


def brotli(call: Call) -> None:
    call.reply(b"\x8b\x01\x80abcd\x03", headers={"Content-Encoding": "br"})


def short_body(body: bytes, declared_bytes: int) -> Behaviour:
    """Declare more than is sent, and close."""
    return raw(head(200, {"Content-Length": str(declared_bytes)}) + body)


def without_length(body: bytes) -> Behaviour:
    """Send `body` without a length, and close: its end is nobody's guarantee."""
    return raw(head(200, {"Content-Type": "image/jpeg"}) + body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> Behaviour:
    def behaviour(call: Call) -> None:
        call.send(head(200, {"Transfer-Encoding": "chunked"}))
        call.send(b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end)
        call.keep = end.endswith(b"0\r\n\r\n")

    return behaviour


def drip_body(byte: bytes = b".", every_s: float = 0.05) -> Behaviour:
    """Promise a megabyte and send it byte by byte."""
    return drip(head(200, {"Content-Length": "1000000"}), byte, every_s)


def drip_headers(every_s: float = 0.05) -> Behaviour:
    """Send a status line and then one byte of a header at a time."""
    return drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", every_s)


def drip(start: bytes, piece: bytes, every_s: float = 0.05) -> Behaviour:
    """Send `start`, and then `piece` again and again, slowly."""

    def behaviour(call: Call) -> None:
        call.send(start)
        while call.wait(every_s):
            call.send(piece)

    return behaviour


def endless_body(call: Call) -> None:
    _endless(call, head(200, {}), b"x" * 65536)


def endless_headers(call: Call) -> None:
    _endless(call, b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n" * 100)


def endless_header(call: Call) -> None:
    _endless(call, b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536)


def _endless(call: Call, start: bytes, more: bytes) -> None:
    call.send(start)
    while not call.origin.stopping.is_set():
        call.send(more)


def reset(call: Call) -> None:
    call.reset()


def reset_within(body: bytes) -> Behaviour:
    """Break off with a TCP reset after `body` of a larger one."""

    def behaviour(call: Call) -> None:
        call.send(head(200, {"Content-Length": str(len(body) + 1000)}) + body)
        call.reset()

    return behaviour


def close(call: Call) -> None:
    """Close without an answer."""


def silent(call: Call) -> None:
    """Never answer."""
    call.origin.stopping.wait()


def slow_start(seconds: float, then: Behaviour) -> Behaviour:
    def behaviour(call: Call) -> None:
        if call.wait(seconds):
            then(call)

    return behaviour


class Versions:
    """One picture after another at the same place, and a 304 for who has the one that is there now."""

    def __init__(self, body: bytes, **validators: str) -> None:
        self.sent: list[int] = []
        self.put(body, **validators)

    def put(self, body: bytes, **validators: str) -> None:
        """Put `body` there, with `ETag` and `Last_Modified`."""
        self._body = body
        self._headers = {name.replace("_", "-"): value for name, value in validators.items()}

    def __call__(self, call: Call) -> None:
        asked, has = call.request.headers, self._headers
        pairs = (("if-none-match", "ETag"), ("if-modified-since", "Last-Modified"))
        given = next(
            ((asked[name], has.get(header)) for name, header in pairs if name in asked), None
        )
        status = 304 if given and given[0] == given[1] else 200
        self.sent.append(status)
        call.reply(self._body if status == 200 else b"", status=status, headers=has)


class Gate:
    """Holds every request back until `open()`; `waiting` says how many stand before it."""

    def __init__(self, then: Behaviour) -> None:
        self._then = then
        self._opened = threading.Event()
        self._arrived = threading.Semaphore(0)

    def __call__(self, call: Call) -> None:
        self._arrived.release()
        while not self._opened.wait(0.05):
            if call.origin.stopping.is_set():
                return
        self._then(call)

    def await_arrival(self, timeout_s: float = 10.0) -> None:
        """Return when one more request has arrived; raise TimeoutError if none does."""
        if not self._arrived.acquire(timeout=timeout_s):
            raise TimeoutError("no request arrived")

    def open(self) -> None:
        self._opened.set()


def keep_alive_then_close(body: bytes) -> Behaviour:
    """Answer well, promise to keep the connection, and close it when the next request comes."""
    seen: set[int] = set()

    def behaviour(call: Call) -> None:
        if call.request.connection not in seen:
            seen.add(call.request.connection)
            call.reply(body)

    return behaviour
