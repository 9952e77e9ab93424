"""The change feed, the clone queue and the watch over the database, with a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from image_cloud.cluster.epoch import FeedGuard
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, clones, feed
from image_cloud.db.connect import Database
from image_cloud.db.feed import Change, Position
from image_cloud.db.listen import Listener
from image_cloud.errors import Resynchronising
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record, Tombstone

NOW = 2_000_000_000.0


def record(number: int, stored_at: float = 1000.0, sha256: str = "a" * 64) -> Record:
    url = f"http://shop.example/{number}.jpg"
    return Record(key_of(url), url, "shop.example", "jpeg", 1, 1, 3, sha256, stored_at, "origin")


def tombstone(of: Record, deleted_at: float, *, blocked: bool = False) -> Tombstone:
    return Tombstone(of.key, of.url, deleted_at, blocked)


def change(of: Record) -> Change:
    return Change(
        of.key, of.url, of.host, of.format, of.width, of.height, of.bytes, of.sha256, of.stored_at,
        None, False,
    )  # fmt: skip


class Reader:
    """Reads a feed in small parts until it has been empty after the writers' end."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings)
        with self.database.transaction() as cursor:
            self.position = Position(feed.state(cursor)[0])
        self.seen: list[str] = []

    def read(self, limit: int = 7) -> int:
        with self.database.transaction() as cursor:
            self.position, changes = feed.read(cursor, self.position, limit)
        self.seen += [one.key for one in changes]
        return len(changes)


def test_eight_writers_race_and_the_feed_loses_and_doubles_nothing(settings: Settings) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    committed: list[str] = []
    mutex = threading.Lock()

    def write(writer: int) -> None:
        rng, database = random.Random(f"{seed}-{writer}"), Database(settings)
        for number in range(40):
            rows = [record(writer * 10**6 + number * 10 + n) for n in range(rng.randint(1, 3))]
            rolls_back = rng.random() < 0.2
            try:
                with database.transaction() as cursor:
                    for row in rows:
                        catalog.upsert(cursor, [row])
                        time.sleep(rng.uniform(0, 0.004))  # what makes the numbers overtake
                    if rolls_back:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            with mutex:
                committed.extend(row.key for row in rows)

    reader = Reader(settings)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in writers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        reader.read()
    while reader.read():
        pass
    assert len(committed) > 200
    assert len(reader.seen) == len(set(reader.seen))
    assert set(reader.seen) == set(committed)


def test_the_test_above_can_fail_a_bare_sequence_loses_rows(settings: Settings) -> None:
    """Two transactions, numbered 1 and 2, of which 2 commits first: the horizon waits for 1."""
    first, second = psycopg2.connect(settings.dsn), psycopg2.connect(settings.dsn)
    catalog.upsert(first.cursor(), [record(1)])
    catalog.upsert(second.cursor(), [record(2)])
    second.commit()
    reader = Reader(settings)
    assert reader.read() == 0
    with reader.database.transaction() as cursor:
        cursor.execute("select max(change) from images")
        assert cursor.fetchone() == (2,)  # "change > cursor" would have gone past 1 for good
        held = feed.held(cursor)
    assert held.changes == 1
    assert held.seconds >= 0
    assert str(first.info.backend_pid) in held.holder
    first.commit()
    assert reader.read() == 2
    first.close()
    second.close()


def test_a_changed_row_moves_to_the_end(settings: Settings) -> None:
    reader = Reader(settings)
    with reader.database.transaction() as cursor:
        catalog.upsert(cursor, [record(1), record(2)])
    assert reader.read() == 2
    with reader.database.transaction() as cursor:
        cursor.execute("update images set host = host where key = %s", (record(1).key,))
    assert reader.read() == 1
    assert reader.seen[-1] == record(1).key


@pytest.mark.parametrize(
    ("stored_at", "deleted_at", "blocked", "stays"),
    [
        (10.0, 9.0, False, True),
        (10.0, 10.0, False, False),
        (10.0, 11.0, False, False),
        (10.0, 9.0, True, False),
        (NOW + 3600, 11.0, False, False),  # stored by a clock an hour ahead: it cannot be newer
    ],
)
def test_a_delete_wins_in_whichever_order_the_two_arrive(
    settings: Settings, stored_at: float, deleted_at: float, blocked: bool, stays: bool
) -> None:
    database, row = Database(settings), record(1, stored_at)
    stone = tombstone(row, deleted_at, blocked=blocked)
    with database.transaction() as cursor:
        catalog.upsert(cursor, [row])
        catalog.bury(cursor, [stone], NOW)
        assert (catalog.find(cursor, row.key) is not None) is stays
        cursor.execute("delete from images")
        catalog.bury(cursor, [stone], NOW)
        catalog.upsert(cursor, [row])
        if stored_at <= NOW:
            assert (catalog.find(cursor, row.key) is not None) is stays


def test_of_two_stores_every_node_keeps_the_same(settings: Settings) -> None:
    database = Database(settings)
    versions = [record(1, 5.0, "b" * 64), record(1, 6.0, "a" * 64), record(1, 6.0, "c" * 64)]
    with database.transaction() as cursor:
        for order in (versions, versions[::-1], versions[1:] + versions[:1]):
            cursor.execute("delete from images")
            for one in order:
                catalog.upsert(cursor, [one])
            found = catalog.find(cursor, versions[0].key)
            assert found
            assert found.version == (6.0, "c" * 64)


def test_of_two_stores_in_one_batch_the_newer_stays(settings: Settings) -> None:
    other, older = record(8), record(7)
    newer = dataclasses.replace(older, stored_at=older.stored_at + 1, sha256="d" * 64, width=None)
    with Database(settings).transaction() as cursor:
        catalog.upsert(cursor, [newer, other, older])
        assert catalog.find_all(cursor, [newer.key, other.key]) == {
            newer.key: newer,
            other.key: other,
        }


def test_requests_are_queued_once_claimed_once_and_gone_when_done(settings: Settings) -> None:
    database = Database(settings)
    rows = [record(number) for number in range(3)]
    with database.transaction() as cursor:
        catalog.upsert(cursor, rows[:1])
        for _ in range(2):
            clones.add(cursor, [change(row) for row in rows], "ic01")
        assert clones.count(cursor) == 2  # one of the three is here
    other = Database(settings)
    with database.transaction() as cursor:
        first = clones.claim(cursor, 1, 60)
        with other.transaction() as beside:
            second = clones.claim(beside, 5, 60)
    assert {one.wanted.key for one in first + second} == {rows[1].key, rows[2].key}
    with database.transaction() as cursor:
        assert clones.claim(cursor, 5, 60) == []
        clones.release(cursor)
        assert len(clones.claim(cursor, 5, 0)) == 2
        newer = record(1, 2000.0)
        clones.add(cursor, [change(newer)], "ic02")
        clones.done(cursor, [first[0].wanted, second[0].wanted])
        assert clones.count(cursor) == 1  # the newer version is still wanted
        catalog.bury(cursor, [tombstone(newer, 3000.0)], NOW)
        assert clones.count(cursor) == 0


def test_plans_use_the_indexes(settings: Settings) -> None:
    database = Database(settings)
    with database.transaction() as cursor:
        cursor.execute("set local enable_seqscan = off")
        values = {"xid": "5", "change": 1, "limit": 10}
        cursor.execute("explain " + feed.READ, values)
        assert "images_feed" in str(cursor.fetchall())
        cursor.execute("explain " + feed.HELD)
        assert "images_feed" in str(cursor.fetchall())
        cursor.execute("explain " + clones.CLAIM, {"limit": 8, "lease_s": 1})
        assert "clone_requests_next" in str(cursor.fetchall())


def test_listeners_hear_of_commits(settings: Settings) -> None:
    listener, database = Listener(settings), Database(settings)
    listener.start()
    mark = listener.count()
    listener.wait(mark, 10)  # it listens from now on
    mark = listener.count()
    with database.transaction() as cursor:
        catalog.upsert(cursor, [record(1)])
    began = time.monotonic()
    listener.wait(mark, 120)
    assert time.monotonic() - began < 60
    assert listener.count() != mark
    listener.stop()


def test_a_replaced_database_begins_a_new_epoch(settings: Settings, tmp_path: Path) -> None:
    database = Database(settings)
    guard = FeedGuard(tmp_path / "feed.json", database)
    with database.transaction() as cursor:
        catalog.upsert(cursor, [record(1)])
    assert not guard.step()
    assert not guard.step()
    with database.transaction() as cursor:
        epoch, next_xid = feed.state(cursor)
    guard.check(epoch, next_xid)
    # A copy of last week has the epoch, but lies behind.
    (tmp_path / "feed.json").write_text(f'{{"epoch": "{epoch}", "xid": {next_xid + 1000}}}')
    with pytest.raises(Resynchronising):
        guard.check(epoch, next_xid)
    assert guard.step()
    assert guard.needs_rebuild()
    with database.transaction() as cursor:
        renewed, next_xid = feed.state(cursor)
    assert renewed != epoch
    guard.check(renewed, next_xid)
    with pytest.raises(Resynchronising):
        guard.check(epoch, next_xid)


def test_rows_of_a_dump_from_a_server_that_was_further_are_handed_out(
    settings: Settings, tmp_path: Path
) -> None:
    database = Database(settings)
    with database.transaction() as cursor:
        catalog.upsert(cursor, [record(1)])
        cursor.execute("alter table images disable trigger images_moved")
        cursor.execute("update images set xid = '999999999'::xid8")
        cursor.execute("alter table images enable trigger images_moved")
    assert Reader(settings).read() == 0
    (tmp_path / "feed.json").write_text('{"epoch": "another", "xid": 1}')
    assert FeedGuard(tmp_path / "feed.json", database).step()
    assert Reader(settings).read() == 1


def test_rows_of_a_dump_are_written_again_in_pieces_that_may_be_broken_off(
    settings: Settings, tmp_path: Path
) -> None:
    database, path = Database(settings), tmp_path / "feed.json"
    with database.transaction() as cursor:
        catalog.upsert(cursor, [record(number) for number in range(35)])
        cursor.execute("update images set xid = (999999999 + change % 5)::text::xid8")
    path.write_text('{"epoch": "another", "xid": 1}')
    guard, pieces = FeedGuard(path, database, rows_at_once=10), itertools.count()
    assert not guard.step(lambda: next(pieces) < 2)
    assert Reader(settings).read(100) == 20
    with database.transaction() as cursor:
        state = feed.state(cursor)
    with pytest.raises(Resynchronising):  # however many transactions there were meanwhile
        guard.check(*state)
    assert guard.step()
    assert Reader(settings).read(100) == 35
    with database.transaction() as cursor:
        cursor.execute("select count(*) from images group by xid")
        assert sorted(count for (count,) in cursor.fetchall()) == [5, 10, 10, 10]
        guard.check(*feed.state(cursor))
