"""One PostgreSQL for all nodes: a primary, and a standby that every commit waits for."""

from __future__ import annotations

import contextlib
import signal

import psycopg2

from tests.cluster.nodes import eventually
from tests.postgres import CONF, Cluster

NAME = "image_cloud"
REPLICATION = """
wal_level = replica
hot_standby = on
wal_receiver_status_interval = 1s
cluster_name = 'standby'
"""


class Standby(Cluster):
    """A server that has what `primary` has, and takes no changes until it is promoted."""

    def __init__(self, primary: Cluster) -> None:
        super().__init__()
        self._primary = primary

    def make(self) -> None:
        source = f"host={self._primary.folder} user=tester application_name=standby"
        self.run("pg_basebackup", "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def fill(self) -> None:
        self.folder.chmod(0o755)


class Pair:
    """The two servers; a context manager.

    As in docs/scaling.md: what a client was told is on both, and one connection string names both.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.primary = Cluster(CONF + REPLICATION)

    def __enter__(self) -> Pair:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.primary)
            self.primary.folder.chmod(0o755)
            run_sql(self.primary, f"CREATE DATABASE {NAME}")
            self.standby = stack.enter_context(Standby(self.primary))
            self._wait_for_standby(self.primary)
            self._stack = stack.pop_all()
        self.dsn = self.dsn_of(self.primary, self.standby)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @staticmethod
    def dsn_of(*servers: Cluster) -> str:
        """Return the connection string that finds the one of `servers` that takes changes."""
        hosts = ",".join(str(server.folder) for server in servers)
        return f"host={hosts} dbname={NAME} user=tester target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Lose the primary as a power cut does, and promote the standby."""
        self.primary.stop(signal.SIGKILL)
        run_sql(self.standby, "ALTER SYSTEM SET synchronous_standby_names = ''")
        run_sql(self.standby, "SELECT pg_reload_conf(), pg_promote()")

    def _wait_for_standby(self, primary: Cluster) -> None:
        """Have each commit wait until it is on both."""
        run_sql(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        run_sql(primary, "SELECT pg_reload_conf()")
        states = "SELECT sync_state FROM pg_stat_replication"
        eventually(lambda: run_sql(primary, states) == [("sync",)], "the standby follows")


def run_sql(server: Cluster, statement: str) -> list[tuple[object, ...]]:
    """Run a statement as the administrator; return its rows."""
    connection = psycopg2.connect(server.settings("postgres").dsn)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
