"""Several servers in one connection string: the one that takes changes is found, and found again."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading

import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from image_cloud.db.listen import Listener
from image_cloud.db.migrate import migrate
from image_cloud.db.servers import each_server
from image_cloud.errors import DatabaseUnavailable
from tests.frontdoor.client import eventually
from tests.postgres import Cluster
from tests.shared_storage.database import Pair


def test_the_standby_takes_over_once_it_is_promoted() -> None:
    with Pair() as pair:
        database = Database(settings := Settings(dsn=pair.dsn))
        migrate(database)
        listener = Listener(settings)
        listener.start()
        try:
            assert _host(database) == str(pair.primary.folder)
            mark = listener.count()
            pair.fail_over()
            eventually(lambda: _host(database) == str(pair.primary.folder), "it is found")
            eventually(lambda: listener.count() != mark, "the feed is heard again")
        finally:
            listener.stop()
        database.close()


def test_a_server_that_does_not_answer_leaves_time_for_the_next(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        port = silent.getsockname()[1]
        own = cluster.new_database()
        several = own.dsn.replace("host=", "host=127.0.0.1,") + f" port={port},5432"
        database = Database(dataclasses.replace(own, dsn=several, connect_timeout=1.0))
        database.check()
        silent.accept()[0].close()
        _two_at_once(database)  # a second connection asks the one that answered
        with pytest.raises(BlockingIOError):
            silent.accept()
        database.close()


def test_none_that_answers_is_an_outage() -> None:
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        numbers = ",".join(str(one.getsockname()[1]) for one in ports)
        dsn = f"host=127.0.0.1,127.0.0.1 port={numbers} dbname=x user=x"
        with pytest.raises(DatabaseUnavailable):
            Database(Settings(dsn=dsn, connect_timeout=1.0)).check()
        for one in ports:
            one.accept()[0].close()


@pytest.mark.parametrize(
    ("dsn", "count"),
    [
        ("host=a,b,c port=1,2,3 dbname=x", 3),
        ("postgresql://user@a:1,b:2/x?target_session_attrs=read-write", 2),
        ("host=a,b port=5436 dbname=x", 2),
        ("hostaddr=10.0.0.1,10.0.0.2 host=a,b", 2),
        ("host=a,b,c port=1,2", 1),  # libpq says what is wrong
        ("host=/run/postgres port=5436", 1),
        ("dbname=x", 1),
    ],
)
def test_each_server_has_a_string_of_its_own(dsn: str, count: int) -> None:
    each = each_server(dsn)
    assert len(each) == len(set(each)) == count
    assert each == [dsn] if count == 1 else not any("," in one for one in each)


def _host(database: Database) -> str:
    with contextlib.suppress(DatabaseUnavailable), database.transaction() as cursor:
        cursor.execute("UPDATE feed SET epoch = epoch")
        return str(cursor.connection.info.host)
    return ""


def _two_at_once(database: Database) -> None:
    def work() -> None:
        with database.transaction():
            together.wait(60)

    together = threading.Barrier(2)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not together.broken
