"""A PostgreSQL in trouble: what clients are told, and how many connections it has to hold."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from tests.frontdoor.client import eventually
from tests.node import new_node
from tests.origin import Origin
from tests.pools import Answer, Pools
from tests.postgres import Cluster, memory

ORDER = json.dumps({"urls": ["http://shop.example/1.jpg"]})
COUNT = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'image-cloud' AND datname = %s"
)


@pytest.fixture(scope="module")
def fragile() -> Iterator[Cluster]:
    """A server that a test may crash."""
    with Cluster(parent=memory()) as running:
        yield running


def backends(settings: Settings) -> int:
    connection = psycopg2.connect(settings.dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(COUNT, (connection.info.dbname,))
        (count,) = cursor.fetchone() or (0,)
    connection.close()
    return int(count)


def is_outage(answer: Answer) -> bool:
    return (answer.status, answer.json["code"]) == (503, "database_unavailable")


def post(pools: Pools) -> Answer:
    return pools.ask("POST", "/fire_and_forget", ORDER)


def execute(settings: Settings, *statements: str) -> None:
    connection = psycopg2.connect(settings.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def test_a_read_only_database_is_an_outage(
    tmp_path: Path, settings: Settings, origin: Origin
) -> None:
    pools = Pools(new_node(tmp_path, database=settings))
    assert post(pools).status == 202
    name = psycopg2.extensions.parse_dsn(settings.dsn)["dbname"]
    execute(settings, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    execute(settings, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND pid <> pg_backend_pid()")  # fmt: skip
    eventually(lambda: backends(settings) == 0, "the old sessions are over")
    answer = post(pools)
    assert is_outage(answer)
    assert answer.json["detail"] == "the database is read-only"
    assert int(answer.headers["Retry-After"]) > 0
    assert pools.get("/ready").json["database"] == "the database is read-only"
    url = origin.serve("/a.jpg", b"none")
    deleted = pools.ask("DELETE", "/delete_image", url=url).json
    assert deleted["recorded"] is False


DIES = "COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'"


@pytest.mark.parametrize(
    "statement",
    [
        DIES,
        "PERFORM pg_terminate_backend(pg_backend_pid())",
        "RAISE EXCEPTION 'no' USING ERRCODE = '53100'",
        "RAISE EXCEPTION 'no' USING ERRCODE = '58030'",
        "RAISE EXCEPTION 'no' USING ERRCODE = '57P03'",
        "RAISE EXCEPTION 'no' USING ERRCODE = '25006'",
    ],
)
def test_a_server_that_fails_in_the_middle_is_an_outage(
    tmp_path: Path, fragile: Cluster, statement: str
) -> None:
    settings = fragile.new_database()
    pools = Pools(new_node(tmp_path, database=settings))
    execute(
        settings,
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {statement}; END$$",
        "CREATE TRIGGER fail BEFORE INSERT ON prefetch_requests EXECUTE FUNCTION fail()",
    )
    assert is_outage(post(pools))
    eventually(lambda: pools.get("/ready").json["database"] == "ok", "it recovers")


def test_an_error_that_no_server_sent_is_an_outage(database: Database) -> None:
    """What psycopg2 raises, depending on libpq, where the server broke off within an answer."""
    with pytest.raises(DatabaseUnavailable), database.transaction():
        raise psycopg2.DatabaseError("server closed the connection unexpectedly")


def test_a_wrong_statement_is_no_outage(database: Database) -> None:
    with pytest.raises(psycopg2.ProgrammingError), database.transaction() as cursor:
        cursor.execute("SELECT FROM nowhere")
    database.check()


def test_a_server_that_was_restarted_costs_no_request(fragile: Cluster) -> None:
    database = Database(fragile.new_database())
    database.check()
    fragile.stop()
    fragile.start()
    database.check()
    fragile.stop()
    with pytest.raises(DatabaseUnavailable):
        database.check()
    fragile.start()
    database.check()


def test_there_are_as_many_connections_as_transactions_at_once(settings: Settings) -> None:
    database = Database(settings, keep_s=0.5)
    together = threading.Barrier(9)

    def work(barrier: threading.Barrier | None) -> None:
        with database.transaction() as cursor:
            cursor.execute("SELECT 1")
            if barrier:
                barrier.wait(60)

    for _ in range(5):
        thread = threading.Thread(target=work, args=(None,))
        thread.start()
        thread.join(60)
    assert backends(settings) == 1
    crowd = [threading.Thread(target=work, args=(together,)) for _ in range(8)]
    for thread in crowd:
        thread.start()
    eventually(lambda: backends(settings) == 8, "one each")
    together.wait(60)
    for thread in crowd:
        thread.join(60)
    eventually(lambda: backends(settings) == 0, "idle ones are closed")
    database.check()
    assert backends(settings) == 1


def test_a_crowd_takes_turns(settings: Settings) -> None:
    database = Database(settings, keep_s=0.1, most=3)

    def work() -> None:
        with database.transaction() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")
            most.append(backends(settings))

    most: list[int] = []
    crowd = [threading.Thread(target=work) for _ in range(12)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(60)
    assert len(most) == 12
    assert max(most) <= 3


@contextlib.contextmanager
def stopped(cluster: Cluster) -> Iterator[None]:
    """Stop the server and all its sessions where they are, as a dead disk does."""
    pids = [cluster.process.pid, *children(cluster.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_server_that_hangs_is_an_outage_and_holds_nobody(fragile: Cluster) -> None:
    settings = dataclasses.replace(
        fragile.new_database(), connect_timeout=1.0, statement_timeout=0.2
    )
    used, unused = Database(settings), Database(settings)
    used.check()
    with stopped(fragile):
        for database in (used, unused):
            with pytest.raises(DatabaseUnavailable):
                database.check()
    eventually(lambda: _works(used) and _works(unused), "it goes on")


def test_a_statement_that_hangs_in_the_middle_ends(fragile: Cluster) -> None:
    settings = dataclasses.replace(fragile.new_database(), statement_timeout=0.2)
    database = Database(settings)
    with pytest.raises(DatabaseUnavailable), database.transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone() or (0,)
        os.kill(backend, signal.SIGSTOP)
        try:
            cursor.execute("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)
    database.check()


def _works(database: Database) -> bool:
    with contextlib.suppress(DatabaseUnavailable):
        database.check()
        return True
    return False
