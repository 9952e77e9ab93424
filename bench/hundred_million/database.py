"""What the catalogue costs: bytes, upkeep, backup, and what reads or writes all of it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.hundred_million import rows
from bench.hundred_million.measured import Measured
from bench.hundred_million.meter import Meter
from image_cloud.db import catalog, feed, whole_catalog
from image_cloud.db.connect import Database
from image_cloud.db.feed import Position

PAGES, PAGE_ROWS = 100, 500
BATCHES, BATCH_ROWS = 50, 200  # as a recorder commits them
SIZES = """
    SELECT 'table images', pg_table_size('images')
    UNION ALL
    SELECT 'index ' || indexrelid::regclass, pg_relation_size(indexrelid)
    FROM pg_index WHERE indrelid = 'images'::regclass
"""
AHEAD = """
    UPDATE images SET xid = (xid::text::bigint + 1000000000)::text::xid8
    WHERE key IN (SELECT key FROM images TABLESAMPLE BERNOULLI (1))
"""
CHECKED = """
    UPDATE images SET asked_at = clock_timestamp() WHERE key IN (SELECT key FROM images TABLESAMPLE BERNOULLI (1))
"""


def sizes(database: Database, count: int) -> Iterator[Measured]:
    """Yield the bytes of the table and of each index."""
    with database.transaction() as cursor:
        cursor.execute(SIZES)
        found = cursor.fetchall()
    for name, size in sorted(found, key=lambda one: -one[1]):
        yield Measured(name, size, "B", count)
    yield Measured("together", sum(size for _, size in found), "B", count)


def upkeep(dsn: str, meter: Meter, count: int) -> Iterator[Measured]:
    """Yield how long analyze takes, and vacuum, after changes and against wraparound."""
    connection = psycopg2.connect(dsn, options="-c statement_timeout=0")
    connection.autocommit = True
    with connection.cursor() as cursor:

        def run(statement: str) -> float:
            return meter(lambda: cursor.execute(statement))

        yield Measured("ANALYZE", run("ANALYZE images"), "s", count, is_constant=True)
        run(CHECKED)
        yield Measured("VACUUM after 1 % were checked", run("VACUUM images"), "s", count)
        frozen = run("VACUUM (FREEZE) images")
        yield Measured("VACUUM FREEZE of rows that were never frozen", frozen, "s", count)
    connection.close()


def backup(dsn: str, meter: Meter, count: int) -> Iterator[Measured]:
    """Yield time and bytes of a dump, as image-cloud-backup makes it."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as folder:
        dump = Path(folder) / "dump"
        command = ["pg_dump", "--format=custom", f"--file={dump}", dsn]
        yield Measured("pg_dump", meter(lambda: _run(command)), "s", count)
        yield Measured("its file", dump.stat().st_size, "B", count)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)


def linear(database: Database, meter: Meter, count: int) -> Iterator[Measured]:
    """Yield what grows with the number of pictures: what goes through all of them."""
    with database.transaction() as cursor:
        yield Measured("`verify`: counting", meter(lambda: whole_catalog.count(cursor)), "s", count)
    yield _walk("audit, `verify`: reading the rows by key", database, meter, _rows)
    yield _walk("a follower reads the feed", database, meter, _changes)
    yield _restored(database, meter)
    took = _record(database, meter, count)
    yield Measured("recording, in batches of 200", took, "s", BATCHES * BATCH_ROWS)


def _walk(
    what: str, database: Database, meter: Meter, page: Callable[[Cursor, Any], tuple[Any, int]]
) -> Measured:
    """Measure some pages, each in a transaction of its own: `page` returns where it ends, and its rows."""
    read: list[int] = []

    def walk() -> None:
        place = None
        for _ in range(PAGES):
            with database.transaction() as cursor:
                place, found = page(cursor, place)
            read.append(found)
            if found < PAGE_ROWS:
                break

    took = meter(walk)
    return Measured(what, took, "s", sum(read))


def _rows(cursor: Cursor, place: str | None) -> tuple[str, int]:
    found = catalog.after(cursor, place or "", PAGE_ROWS)
    return found[-1].key, len(found)


def _changes(cursor: Cursor, place: Position | None) -> tuple[Position, int]:
    place, changes = feed.read(cursor, place or Position(""), PAGE_ROWS)
    return place, len(changes)


def _restored(database: Database, meter: Meter) -> Measured:
    """Measure how rows are written again whose transactions are still to come, as those of a dump may be."""
    with database.transaction() as cursor:
        cursor.execute(AHEAD)
        count = cursor.rowcount

    def rewrite() -> None:
        place: Position | None = Position("")
        while place:
            with database.transaction() as cursor:
                place = feed.rewrite(cursor, place, 5000)

    return Measured("a restored database: writing the rows again", meter(rewrite), "s", count)


def _record(database: Database, meter: Meter, count: int) -> float:
    """Write pictures that are new, behind the `count` that are there."""
    batches = [
        [rows.record(count + number * BATCH_ROWS + n) for n in range(BATCH_ROWS)]
        for number in range(BATCHES)
    ]

    def write() -> None:
        for batch in batches:
            with database.transaction() as cursor:
                catalog.upsert(cursor, batch)

    return meter(write)
