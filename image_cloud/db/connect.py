"""Connections to PostgreSQL and the one way to use them: `with database.transaction() as cursor`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg2
import psycopg2.extensions

from image_cloud.config.sections import Database as Settings
from image_cloud.db.idle import KEEP_S, Connection, IdleConnections, discard
from image_cloud.db.servers import Servers
from image_cloud.errors import DatabaseUnavailable

RETRY_AFTER_S = 5.0
MOST_AT_ONCE = 16
READ_ONLY = "25006"
# No resources, operator intervention (shutdown, crash, start-up), system errors.
OUTAGE_STATES = (READ_ONLY, "53", "57P", "58")
OUTAGES = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Database:
    """As many connections as there are transactions at once, up to `most`; idle ones close after `keep_s`.

    Connects to nothing before its first use: pools fork after it is made.
    """

    def __init__(
        self, settings: Settings, keep_s: float = KEEP_S, most: int = MOST_AT_ONCE
    ) -> None:
        self._settings = settings
        self._servers = Servers(settings, "image-cloud")
        self._idle = IdleConnections(keep_s)
        self._turns = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg2.extensions.cursor]:
        """Give a cursor; commit when the block ends, roll back when it raises.

        Waits for its turn while `most` others are under way.  Raises DatabaseUnavailable when the server is
        away, goes away, does not answer or takes no changes.
        """
        with self._turn(), self._transaction() as cursor:
            yield cursor

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._settings.statement_timeout):
            raise DatabaseUnavailable(
                "too much waits for the database", retry_after_s=RETRY_AFTER_S
            )
        try:
            yield
        finally:
            self._turns.release()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[psycopg2.extensions.cursor]:
        connection: Connection | None = None
        try:
            connection = self._idle.take() or self._servers.connect()
            with connection, connection.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            if not _is_outage(error):
                raise
            self._idle.close()  # most likely they are broken as well
            if connection is not None:
                discard(connection)
            raise _unavailable(error) from error
        finally:
            if connection is not None and not connection.closed:
                self._idle.give_back(connection)

    def check(self) -> None:
        """Raise DatabaseUnavailable unless the server answers and takes changes."""
        with self.transaction() as cursor:
            cursor.execute("SELECT current_setting('transaction_read_only')")
            if cursor.fetchone() == ("on",):
                raise _read_only()

    def close(self) -> None:
        """Close the connections that no transaction uses."""
        self._idle.close()


def _is_outage(error: psycopg2.Error) -> bool:
    """Tell a server in trouble from a statement that is wrong."""
    if isinstance(error, OUTAGES):
        return True
    if error.pgcode is None:  # nothing that a server said: psycopg2 lost it in the middle
        return type(error) is psycopg2.DatabaseError
    return error.pgcode.startswith(OUTAGE_STATES)


def _unavailable(error: psycopg2.Error) -> DatabaseUnavailable:
    return (
        _read_only()
        if error.pgcode == READ_ONLY
        else DatabaseUnavailable(retry_after_s=RETRY_AFTER_S)
    )


def _read_only() -> DatabaseUnavailable:
    return DatabaseUnavailable("the database is read-only", retry_after_s=RETRY_AFTER_S)
