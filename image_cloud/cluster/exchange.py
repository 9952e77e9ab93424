"""Requests to peers that end: neither a head nor a body that drips holds a thread for long.

Peers imports this when there is a peer: a node alone does without urllib3 and its 2 MB in each process.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import urllib3
from urllib3 import HTTPConnectionPool, HTTPResponse

from image_cloud.cluster.polls import Polls
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Cluster
from image_cloud.errors import PeerBroken
from image_cloud.origin.deadlines import Deadline, deadlines

BLOCK_BYTES = 256 * 1024
GRACE_S = 5.0
MOST_ERROR_BYTES, LONGEST_ERROR_S = 64 * 1024, 1.0

HTTP_ERRORS = (urllib3.exceptions.HTTPError, OSError)


class Exchange:
    """Connections to each of `peers`, kept for the next request; for any number of threads."""

    def __init__(self, peers: Iterable[Peer], settings: Cluster) -> None:
        peers = list(peers)
        self._settings = settings
        self._pools = {peer.name: self._pool(peer) for peer in peers}
        self._polls = Polls()
        self._poll_pools = {peer.name: self._polls.watch(self._pool(peer)) for peer in peers}

    def _pool(self, peer: Peer) -> HTTPConnectionPool:
        pool = urllib3.connection_from_url(
            peer.url, maxsize=self._settings.workers + 2, block=False, retries=False
        )
        pool.ConnectionCls = _in_time(pool.ConnectionCls)
        return pool

    def end_polls(self) -> None:
        """Have every poll break off, now and from now on."""
        self._polls.end()

    @contextlib.contextmanager
    def ask(
        self,
        peer: Peer,
        method: str,
        address: str,
        headers: Mapping[str, str],
        poll_s: float | None = None,
        body: bytes | None = None,
    ) -> Iterator[Answer]:
        """Give the answer to one request, and give its connection back if it was read to its end.

        A poll is held back by the peer for `poll_s`.  Raises PeerBroken.
        """
        s = self._settings
        timeout = urllib3.Timeout(connect=s.connect_timeout, read=s.read_timeout + (poll_s or 0.0))
        pools = self._pools if poll_s is None else self._poll_pools
        try:
            response: Any = pools[peer.name].urlopen(
                method, address, body=body, headers=headers, timeout=timeout,
                preload_content=False, redirect=False, assert_same_host=False,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise PeerBroken(type(error).__name__) from error
        try:
            yield Answer(response)
        finally:
            if not response.isclosed():
                response.close()
            response.release_conn()


class Answer:
    """A peer's answer, whose body is still to come."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def blocks(self, total_s: float) -> Iterator[bytes]:
        """Yield the body as it comes, undecoded.  Raises PeerBroken, after `total_s` at the latest."""
        try:
            with _watched(getattr(self._response, "sock", None), total_s):
                while block := self._response.read1(BLOCK_BYTES, decode_content=False):
                    yield block
        except HTTP_ERRORS as error:
            raise PeerBroken(type(error).__name__) from error

    def read(self, most_bytes: int, total_s: float) -> bytes:
        """Return the whole body.  Raises PeerBroken."""
        body = bytearray()
        for block in self.blocks(total_s):
            body += block
            if len(body) > most_bytes:
                raise PeerBroken("too many bytes")
        return bytes(body)

    def drain(self) -> None:
        """Read a short body to its end, so that its connection can go on; give a long one up."""
        try:
            self.read(MOST_ERROR_BYTES, LONGEST_ERROR_S)
        except PeerBroken:
            self._response.close()


def _in_time(usual: Any) -> Any:
    """Return a class of connections, with or without TLS, whose heads and handshakes end in time."""

    class InTime(usual):  # type: ignore[misc]
        """Waits for the whole head of an answer hardly longer than for one byte of it."""

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()
            # TLS takes the socket over, so a second one to the same connection is what can be shut.
            self._twin = sock.dup()
            self._deadline.hold(self._twin)
            return sock

        def connect(self) -> None:
            with _watched(None, float(self.timeout or 0.0) + GRACE_S) as self._deadline:
                super().connect()
            self._twin.close()

        def getresponse(self) -> Any:
            sock = self.sock
            with _watched(sock, float(self.timeout or 0.0) + GRACE_S):
                response: Any = super().getresponse()
            response.sock = sock
            return response

    return InTime


@contextlib.contextmanager
def _watched(sock: Any, total_s: float) -> Iterator[Deadline]:
    """Shut `sock` after `total_s`.  Raises TimeoutError then, since a cut answer may look whole."""
    deadline = Deadline(total_s)
    deadline.hold(sock)
    deadlines().add(deadline)
    try:
        yield deadline
    except HTTP_ERRORS:
        if deadline.passed:
            raise TimeoutError from None
        raise
    finally:
        deadlines().discard(deadline)
        deadline.hold(None)
    if deadline.passed:
        raise TimeoutError
