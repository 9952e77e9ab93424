"""Requests to peers that end: neither a head nor a body that drips holds a thread for long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.connection import HTTPConnection

from image_cloud.origin.deadlines import Deadline, deadlines

BLOCK_BYTES = 256 * 1024
GRACE_S = 5.0


class Broken(Exception):
    """The peer broke off while it answered, or went on for too long."""


class _Connection(HTTPConnection):
    """Waits for the whole head of an answer hardly longer than for one byte of it."""

    def getresponse(self) -> Any:
        sock = self.sock
        with _watched(sock, float(self.timeout or 0.0) + GRACE_S):
            response: Any = super().getresponse()
        response.sock = sock
        return response


def ends_in_time(pool: HTTPConnectionPool) -> HTTPConnectionPool:
    """Return `pool` with connections whose answers begin in time."""
    if pool.scheme == "http":
        pool.ConnectionCls = _Connection
    return pool


def blocks(response: HTTPResponse, total_s: float) -> Iterator[bytes]:
    """Yield the body as it comes, undecoded.  Raises Broken, after `total_s` at the latest."""
    try:
        with _watched(getattr(response, "sock", None), total_s):
            while block := response.read1(BLOCK_BYTES, decode_content=False):
                yield block
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Broken from error


def read(response: HTTPResponse, most_bytes: int, total_s: float) -> bytes:
    """Return the whole body.  Raises Broken."""
    body = bytearray()
    for block in blocks(response, total_s):
        body += block
        if len(body) > most_bytes:
            raise Broken
    return bytes(body)


@contextlib.contextmanager
def _watched(sock: Any, total_s: float) -> Iterator[None]:
    """Shut `sock` after `total_s`.  Raises TimeoutError then, since a cut answer may look whole."""
    deadline = Deadline(total_s)
    deadline.hold(sock)
    deadlines().add(deadline)
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError):
        if deadline.passed:
            raise TimeoutError from None
        raise
    finally:
        deadlines().discard(deadline)
        deadline.hold(None)
    if deadline.passed:
        raise TimeoutError
