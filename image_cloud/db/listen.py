"""Waits for the news that the change feed has moved (LISTEN/NOTIFY), one connection per process."""

from __future__ import annotations

import logging
import select
import threading

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from image_cloud.config.sections import Database as Settings
from image_cloud.db.feed import CHANNEL

log = logging.getLogger(__name__)

PAUSE_AFTER_OUTAGE_S = 1.0
CHECK_EVERY_S = 5.0


class Listener:
    """Counts notifications; any number of threads wait for the next.  Starts when first waited for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._news = threading.Condition()
        self._count = 0
        self._thread: threading.Thread | None = None

    def count(self) -> int:
        """Return a mark for `wait`; take it before looking at the feed."""
        with self._news:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
                self._thread.start()
            return self._count

    def wait(self, mark: int, timeout_s: float) -> None:
        """Return when something was notified since `mark`, or after `timeout_s`."""
        with self._news:
            self._news.wait_for(lambda: self._count != mark, timeout_s)

    def _run(self) -> None:
        while True:
            try:
                self._listen()
            except psycopg2.Error as error:
                log.debug("event=listener_away error=%s", type(error).__name__)
            threading.Event().wait(PAUSE_AFTER_OUTAGE_S)

    def _listen(self) -> None:
        connection = psycopg2.connect(
            self._settings.dsn,
            connect_timeout=round(self._settings.connect_timeout),
            application_name="image-cloud-listener",
        )
        try:
            connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
                while True:
                    self._tell()  # what came before we listened is not notified
                    while not connection.notifies:
                        if not any(select.select([connection], [], [], CHECK_EVERY_S)):
                            cursor.execute("SELECT 1")  # a server that is gone says nothing
                        connection.poll()
                    connection.notifies.clear()
        finally:
            connection.close()

    def _tell(self) -> None:
        with self._news:
            self._count += 1
            self._news.notify_all()
