"""Waiting for PostgreSQL with a deadline of our own.

`statement_timeout` is the server's, and a server that hangs (a stopped process, a dead disk) does not keep
it.  psycopg2 calls `wait` wherever it would wait within libpq.
"""

from __future__ import annotations

import select
import time

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, set_wait_callback
from psycopg2.extensions import connection as Connection

GRACE_S = 2.0  # beyond what the server keeps itself
FOREVER_S = 86400.0  # for connections that are not ours


class PatientConnection(Connection):
    """A connection that breaks off where the server lets it wait longer than `patience_s` for one answer.

    `connect_s` bounds opening it.  Raises psycopg2.OperationalError, and is closed then.
    """

    def __init__(self, dsn: str, connect_s: float, patience_s: float) -> None:
        self.patience_s = connect_s
        super().__init__(dsn)
        self.patience_s = patience_s


def connect(dsn: str, connect_s: float, statement_s: float, name: str) -> PatientConnection:
    """Return a new connection that shows itself as `name`.  Raises psycopg2.OperationalError."""
    parameters = {
        "connect_timeout": max(1, round(connect_s)),
        "options": f"-c statement_timeout={round(statement_s * 1000)}",
        "application_name": name,
    }
    full = psycopg2.extensions.make_dsn(dsn, **parameters)
    set_wait_callback(wait)
    return PatientConnection(full, connect_s, statement_s + GRACE_S)


def wait(connection: Connection) -> None:
    """Return when what the connection waits for is there.  Raises psycopg2.OperationalError."""
    patience_s = getattr(connection, "patience_s", FOREVER_S)
    deadline = time.monotonic() + patience_s
    while (state := connection.poll()) != POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise psycopg2.OperationalError(f"the server does not answer within {patience_s:g} s")
