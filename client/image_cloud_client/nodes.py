"""Asks one of several nodes: fails over to the next, waits as long as they ask for, reuses connections.

A node that cannot be reached, or finds that this client asks too much, rests for a while, for every
request.  One that cannot answer this request right now (any `Unavailable`) is asked for it again after
its Retry-After.  In the meantime the other nodes are asked, in the order in which they were given.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from image_cloud_client.errors import (
    ImageCloudError,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from image_cloud_client.options import Pairs, address
from image_cloud_client.problems import exception_of

CONNECT_S = 3.05
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
LEAST_WAIT_S = 0.1
TOO_MUCH = (TooManyAttempts, TooManyRequests)
Elsewhere = Callable[[ImageCloudError], bool]


class Node:
    """One node, and until when it rests."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.error: ImageCloudError = Unreachable()
        self.rests_until = 0.0
        self._rest_s = 0.0

    def rest(self, error: ImageCloudError, now: float) -> None:
        """Rest for the time that the node asks for, else longer from time to time."""
        if now < self.rests_until:
            return  # another thread has met the same outage
        self.error = error
        self._rest_s = min(max(2 * self._rest_s, FIRST_REST_S), LONGEST_REST_S)
        self.rests_until = now + (error.retry_after_s or self._rest_s)

    def is_well(self) -> None:
        """Forget earlier trouble."""
        self._rest_s = 0.0


class Nodes:
    """The nodes at `bases`; threads may share it, and it survives a fork and pickling.

    A request takes up to `patience_s` for waiting; `timeout_s` is the longest silence of a node.
    """

    def __init__(
        self,
        bases: Sequence[str],
        token: str,
        *,
        timeout_s: float,
        patience_s: float,
        connections: int,
        ca_file: str | None,
    ) -> None:
        if not bases or isinstance(bases, str):
            raise ValueError("urls: expected is a list of at least one node's URL")
        self.nodes = [Node(checked_base(base)) for base in bases]
        self.token = checked_token(token)
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._connections, self._ca_file = connections, ca_file
        self._sessions: dict[int, requests.Session] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_sessions": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        for node in self.nodes:
            node.rests_until = 0.0  # another machine has another clock

    def ask(
        self,
        method: str,
        path: str,
        parameters: Pairs,
        *,
        only: Node | None = None,
        elsewhere: Elsewhere = lambda _error: False,
        body: bytes | None = None,
    ) -> tuple[requests.Response, Node]:
        """Return a success and who sent it.  Raises ImageCloudError.

        `elsewhere` says of which refusals another node has to be asked.
        """
        deadline = time.monotonic() + self._patience_s
        not_before = dict.fromkeys([only] if only else self.nodes, 0.0)
        errors: dict[Node, ImageCloudError] = {}
        while True:
            node = self._next(not_before, errors, deadline)
            try:
                answer = self._once(node, method, path, parameters, body)
            except Unavailable as error:
                errors[node] = error
                wait_s = max(error.retry_after_s or FIRST_REST_S, LEAST_WAIT_S)
                not_before[node] = time.monotonic() + wait_s
            except ImageCloudError as error:
                errors[node] = error
                if _is_outage(error):
                    node.rest(error, time.monotonic())
                elif elsewhere(error) and len(not_before) > 1:
                    del not_before[node]
                else:
                    raise
            else:
                node.is_well()
                return answer, node

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _next(
        self, not_before: dict[Node, float], errors: dict[Node, ImageCloudError], deadline: float
    ) -> Node:
        """Return who is asked next, and wait until it may be.  Raises the last error past `deadline`."""
        while True:
            now = time.monotonic()
            times = {node: max(at, node.rests_until) for node, at in not_before.items()}
            node = min(times, key=lambda one: max(times[one], now))
            wait_s = times[node] - now
            if wait_s <= 0:
                return node
            if times[node] > deadline:
                raise _copy(errors.get(node, node.error))
            time.sleep(wait_s)

    def _once(
        self, node: Node, method: str, path: str, parameters: Pairs, body: bytes | None
    ) -> requests.Response:
        """Ask `node`; where a kept connection turns out to be closed, twice."""
        target = address(node.base, path, parameters) if parameters else node.base + path
        for is_last in (method == "POST", True):
            try:
                answer = self._session().request(
                    method, target, data=body, allow_redirects=False,
                    timeout=(CONNECT_S, self._timeout_s),
                )  # fmt: skip
                break
            except requests.Timeout:
                raise Unreachable(f"{node.base} does not answer in time") from None
            except requests.RequestException:
                if is_last:
                    raise Unreachable(f"{node.base}: the connection failed") from None
        if not 200 <= answer.status_code <= 299:
            raise exception_of(answer)
        return answer

    def _session(self) -> requests.Session:
        """Return this process's session: a fork must not share its parent's connections."""
        process = os.getpid()
        session = self._sessions.get(process)
        if session is None:
            with self._lock:
                session = self._sessions.setdefault(process, self._new_session())
        return session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # A .netrc would add a second credential, and a proxy is not asked for pictures of the own network.
        session.trust_env = False
        session.headers["X-Image-Cloud-Token"] = self.token
        session.headers["User-Agent"] = "image-cloud-client"
        session.verify = self._ca_file or True
        adapter = HTTPAdapter(pool_connections=len(self.nodes), pool_maxsize=self._connections)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


def checked_base(base: str) -> str:
    """Return a node's URL without a slash at its end.  Raises ValueError."""
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("urls: expected is http://HOST:PORT or https://HOST")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("urls: expected is http://HOST:PORT without user, query and fragment")
    with contextlib.suppress(ValueError):
        if parts.port != 0:
            return base.rstrip("/")
    raise ValueError("urls: expected is a PORT from 1 to 65535")


def checked_token(token: str) -> str:
    """Return the token without blanks around it.  Raises ValueError, which does not show it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError("token: expected is printable ASCII")
    return token


def _is_outage(error: ImageCloudError) -> bool:
    """Say whether the node, or what is in front of it, does not work for anybody."""
    if isinstance(error, UnexpectedAnswer):
        return (error.status or 0) >= 500 or error.status == 429
    return isinstance(error, (Unreachable, *TOO_MUCH))


def _copy(error: ImageCloudError) -> ImageCloudError:
    """Return an exception of its own for each thread that raises it."""
    kind, arguments, state = error.__reduce__()
    copy: ImageCloudError = kind(*arguments)  # type: ignore[operator, misc]
    copy.__dict__.update(state)  # type: ignore[call-overload]
    return copy
