"""Connecting to an origin: the name is resolved once, and what was checked is what is dialled."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from image_cloud.errors import OriginDns
from image_cloud.origin import network_errors
from image_cloud.origin.policy import Policy
from image_cloud.picture.url import is_address

Resolve = Callable[..., list[Any]]
_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Dialer:
    """Opens sockets to hosts all of whose addresses are allowed.

    `resolve` has the form of `socket.getaddrinfo`.
    """

    def __init__(self, policy: Policy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve

    def dial(
        self, host: str, port: int, timeout_s: float, hold: Callable[[socket.socket], None]
    ) -> socket.socket:
        """Return a connected socket; it is given to `hold` before it connects.

        Raises OriginDns, UrlForbidden, OriginRefused, OriginReset or OriginTimeout.  `timeout_s`
        covers resolving and all addresses together.
        """
        until_s = time.monotonic() + timeout_s
        answers = self._answers(host, port, timeout_s)
        self._policy.check_addresses(host, port, [answer[4][0] for answer in answers])
        for position, (family, _, _, _, address) in enumerate(answers, 1):
            left_s = until_s - time.monotonic()
            is_last = position == len(answers)
            where = (address[0], port, *address[2:])
            try:
                return _connect(family, where, left_s if is_last else left_s / 2, hold)
            except OSError as error:
                if is_last or left_s <= 0:
                    raise network_errors.of_connecting(error) from error
        raise OriginDns(f"the name {host} has no address")

    def _answers(self, host: str, port: int, timeout_s: float) -> list[Any]:
        try:
            if is_address(host):
                return self._resolve(host, port, type=socket.SOCK_STREAM)
            return _in_time(lambda: self._resolve(host, port, type=socket.SOCK_STREAM), timeout_s)
        except queue.Empty:
            raise OriginDns(f"the name {host} was not resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise OriginDns(f"the name {host} does not resolve") from error


def _in_time(resolve: Callable[[], list[Any]], timeout_s: float) -> list[Any]:
    """Resolve in a thread of its own, as nothing else bounds a hanging name server.

    Raises queue.Empty when there is no answer in time; the thread ends with the resolver's own
    timeouts.
    """
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(resolve())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=run, name="origin-resolve", daemon=True).start()
    found = answers.get(timeout=timeout_s)
    if isinstance(found, Exception):
        raise found
    return found


def _connect(
    family: int, address: Any, timeout_s: float, hold: Callable[[socket.socket], None]
) -> socket.socket:
    if timeout_s <= 0:
        raise TimeoutError
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(*_NO_DELAY)
        sock.settimeout(timeout_s)
        hold(sock)
        sock.connect(address)
        undo.pop_all()
        return sock
