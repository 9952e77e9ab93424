"""Idle connections: the most recently used is taken first, the others are closed in time."""

from __future__ import annotations

import contextlib
import select
import threading
import time
import weakref
from collections.abc import Callable

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection

__all__ = ["KEEP_S", "Connection", "IdleConnections", "discard"]

KEEP_S = 30.0


class IdleConnections:
    """Open connections that nobody uses, for any number of threads; closed after `keep_s`.

    Starts a thread with the first of them, and needs none once all are closed.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._mutex = threading.Lock()
        self._idle: list[tuple[float, Connection]] = []  # those that idle longest first
        self._timer: threading.Timer | None = None

    def take(self) -> Connection | None:
        """Return a connection that still works, as far as can be told without asking."""
        while True:
            with self._mutex:
                if not self._idle:
                    return None
                _, connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            discard(connection)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose transaction has ended."""
        if connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            discard(connection)
            return
        with self._mutex:
            self._idle.append((self._clock(), connection))
            self._watch()

    def close(self) -> None:
        """Close all of them."""
        with self._mutex:
            old, self._idle = self._idle, []
        for _, connection in old:
            discard(connection)

    def _watch(self) -> None:
        if self._timer is None and self._idle:
            wait_s = max(0.0, self._idle[0][0] + self._keep_s - self._clock())
            # The timer must not keep alive what nobody uses any more.
            self._timer = threading.Timer(wait_s, _close_old, (weakref.ref(self),))
            self._timer.daemon = True
            self._timer.start()

    def close_old(self) -> None:
        """Close those that nobody took for `keep_s`."""
        with self._mutex:
            before = self._clock() - self._keep_s
            old = [one for one in self._idle if one[0] <= before]
            self._idle = self._idle[len(old) :]
            self._timer = None
            self._watch()
        for _, connection in old:
            discard(connection)


def _close_old(owner: weakref.ref[IdleConnections]) -> None:
    idle = owner()
    if idle is not None:
        idle.close_old()


def _is_quiet(connection: Connection) -> bool:
    """Return whether the server is silent: to an idle client it speaks only when it shuts down."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def discard(connection: Connection) -> None:
    """Close a connection that may be broken."""
    with contextlib.suppress(psycopg2.Error):
        connection.close()
