"""What goes through the whole catalogue does so in pieces: none of its statements grows with the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from image_cloud.db import catalog, whole_catalog
from image_cloud.db.connect import Database
from image_cloud.picture.record import Tombstone
from tests.cloning import picture

COUNT = 25
NEVER = 2**62


@pytest.fixture
def filled(database: Database) -> Database:
    """A catalogue of 25 pictures and 5 tombstones."""
    with database.transaction() as cursor:
        catalog.upsert(cursor, [picture(number) for number in range(COUNT + 5)])
        stones = [
            Tombstone(one.key, one.url, 5000.0) for one in map(picture, range(COUNT, COUNT + 5))
        ]
        catalog.bury(cursor, stones, 6000.0)
    return database


def pieces(database: Database, before: int) -> Iterator[int]:
    """Forget in pieces of 10; yield how many rows are left after each."""
    key: str | None = ""
    while key is not None:
        with database.transaction() as cursor:
            key = whole_catalog.forget_after(cursor, key, before, 10)
            yield whole_catalog.count(cursor)[0]


def test_all_pictures_are_forgotten_but_for_tombstones(filled: Database) -> None:
    assert list(pieces(filled, NEVER)) == [15, 5, 0]
    with filled.transaction() as cursor:
        cursor.execute("SELECT count(*) FROM images")
        assert cursor.fetchone() == (5,)


def test_what_comes_meanwhile_is_not_forgotten(filled: Database) -> None:
    with filled.transaction() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        (before,) = cursor.fetchone() or ("",)
    with filled.transaction() as cursor:
        catalog.upsert(cursor, [picture(1000)])
    assert list(pieces(filled, int(before)))[-1] == 1


def test_tombstones_are_forgotten_in_pieces(filled: Database) -> None:
    with filled.transaction() as cursor:
        assert [whole_catalog.forget_tombstones(cursor, 5001.0, 2) for _ in range(4)] == [
            2,
            2,
            1,
            0,
        ]
        assert whole_catalog.count(cursor)[0] == COUNT


def test_pictures_are_counted_in_pieces(
    filled: Database, counted: Callable[[int], tuple[int, int]]
) -> None:
    expected = (COUNT, sum(picture(number).bytes for number in range(COUNT)))
    assert counted(1) == counted(20_000) == expected


@pytest.fixture
def counted(filled: Database) -> Callable[[int], tuple[int, int]]:
    """Count `pages` of the table at a time, which has several."""

    def count(pages: int) -> tuple[int, int]:
        with filled.transaction() as cursor:
            cursor.execute("SELECT pg_relation_size('images')")
            assert (cursor.fetchone() or (0,))[0] > 8192
            return whole_catalog.count(cursor, pages)

    return count
