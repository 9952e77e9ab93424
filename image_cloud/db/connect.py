"""Connections to PostgreSQL and the one way to use them: `with database.transaction() as cursor`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg2
import psycopg2.extensions

from image_cloud.config.sections import Database as Settings
from image_cloud.errors import DatabaseUnavailable

RETRY_AFTER_S = 5.0
OUTAGES = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Database:
    """One connection per thread, opened when it is first needed and again after an outage.

    Connects to nothing before its first use: pools fork after it is made.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg2.extensions.cursor]:
        """Give a cursor; commit when the block ends, roll back when it raises.

        Raises DatabaseUnavailable when the server is away or goes away.
        """
        try:
            connection = self._connection()
            with connection, connection.cursor() as cursor:
                yield cursor
        except OUTAGES as error:
            self.close()
            raise DatabaseUnavailable(retry_after_s=RETRY_AFTER_S) from error

    def check(self) -> None:
        """Raise DatabaseUnavailable unless the server answers; a broken connection is renewed."""
        if getattr(self._local, "connection", None) is not None:
            with contextlib.suppress(DatabaseUnavailable):
                self._ask()
                return
        self._ask()

    def _ask(self) -> None:
        with self.transaction() as cursor:
            cursor.execute("SELECT 1")

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.close()

    def _connection(self) -> psycopg2.extensions.connection:
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg2.connect(
                self._settings.dsn,
                connect_timeout=round(self._settings.connect_timeout),
                options=f"-c statement_timeout={round(self._settings.statement_timeout * 1000)}",
                application_name="image-cloud",
            )
            self._local.connection = connection
        return connection
