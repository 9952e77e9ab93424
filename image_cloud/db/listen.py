"""Waits for the news that the change feed has moved (LISTEN/NOTIFY), one connection per process."""

from __future__ import annotations

import logging
import os
import select
import threading

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from image_cloud.config.sections import Database as Settings
from image_cloud.db.feed import CHANNEL
from image_cloud.db.servers import Servers

log = logging.getLogger(__name__)

PAUSE_AFTER_OUTAGE_S = 1.0
CHECK_EVERY_S = 5.0


class Listener:
    """A thread that counts notifications; any number of others wait for the next."""

    def __init__(self, settings: Settings) -> None:
        self._servers = Servers(settings, "image-cloud-listener")
        self._news = threading.Condition()
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._stopping = threading.Event()
        self._waker = -1

    def start(self) -> None:
        """Start the thread."""
        self._waker = os.eventfd(0)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which may take as long as connecting does."""
        self._stopping.set()
        os.eventfd_write(self._waker, 1)
        self._thread.join()
        os.close(self._waker)

    def count(self) -> int:
        """Return a mark for `wait`; take it before looking at the feed."""
        with self._news:
            return self._count

    def wait(self, mark: int, timeout_s: float) -> None:
        """Return when something was notified since `mark`, or after `timeout_s`."""
        with self._news:
            self._news.wait_for(lambda: self._count != mark, timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg2.Error as error:
                log.debug("event=listener_away error=%s", type(error).__name__)
            self._stopping.wait(PAUSE_AFTER_OUTAGE_S)

    def _listen(self) -> None:
        connection = self._servers.connect()
        try:
            connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
                while not self._stopping.is_set():
                    self._tell()  # what came before we listened is not notified
                    self._await_news(connection)
        finally:
            connection.close()

    def _await_news(self, connection: psycopg2.extensions.connection) -> None:
        """Return when something was notified, or at the end."""
        while not (connection.notifies or self._stopping.is_set()):
            if not any(select.select([connection.fileno(), self._waker], [], [], CHECK_EVERY_S)):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")  # a server that is gone says nothing
            connection.poll()
        connection.notifies.clear()

    def _tell(self) -> None:
        with self._news:
            self._count += 1
            self._news.notify_all()
