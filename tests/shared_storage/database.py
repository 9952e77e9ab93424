"""One PostgreSQL for all nodes: a primary, and a standby that every commit waits for."""

from __future__ import annotations

import contextlib
import shutil
import signal

import psycopg2

from tests.cluster.nodes import eventually
from tests.postgres import CONF, Cluster

NAME = "image_cloud"
REPLICATION = """
wal_level = replica
hot_standby = on
"""


class Standby(Cluster):
    """A server that has what `primary` has, and takes no changes until it is promoted."""

    def __init__(self, primary: Cluster) -> None:
        super().__init__()
        self._primary = primary

    def make(self) -> None:
        copy(self._primary, self)

    def fill(self) -> None:
        self.folder.chmod(0o755)


class Pair:
    """The two servers; a context manager.

    As in docs/scaling.md: what a client was told is on both, and one connection string names both.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.primary = Cluster(CONF + REPLICATION)
        self.standby: Cluster = Standby(self.primary)

    def __enter__(self) -> Pair:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.primary)
            self.primary.folder.chmod(0o755)
            run_sql(self.primary, f"CREATE DATABASE {NAME}")
            stack.enter_context(self.standby)
            self._wait_for_standby()
            self._stack = stack.pop_all()
        hosts = f"{self.primary.folder},{self.standby.folder}"
        self.dsn = f"host={hosts} dbname={NAME} user=tester target_session_attrs=read-write"
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fail_over(self) -> None:
        """Lose the primary as a power cut does, and promote the standby."""
        self.primary.stop(signal.SIGKILL)
        run_sql(self.standby, "ALTER SYSTEM SET synchronous_standby_names = ''")
        run_sql(self.standby, "SELECT pg_reload_conf(), pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Make the server that was lost the standby of the other."""
        shutil.rmtree(self.standby.folder / "data")
        copy(self.primary, self.standby)
        self.standby.start()
        self._wait_for_standby()

    def _wait_for_standby(self) -> None:
        """Have each commit wait until it is on both."""
        run_sql(self.primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        run_sql(self.primary, "SELECT pg_reload_conf()")
        states = "SELECT sync_state FROM pg_stat_replication"
        eventually(lambda: run_sql(self.primary, states) == [("sync",)], "the standby follows")


def copy(primary: Cluster, standby: Cluster) -> None:
    """Make the files of a standby, which follows `primary` once it is started."""
    source = f"host={primary.folder} user=tester application_name=standby"
    standby.run("pg_basebackup", "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")


def run_sql(server: Cluster, statement: str) -> list[tuple[object, ...]]:
    """Run a statement as the administrator; return its rows."""
    connection = psycopg2.connect(server.settings("postgres").dsn)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
