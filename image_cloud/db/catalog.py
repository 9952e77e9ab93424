"""The catalogue of originals: table `images`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_batch

from image_cloud.disk import Record

RECORD = """
    INSERT INTO images
        (key, url, host, format, width, height, bytes, sha256, stored_at, stored_from)
    VALUES
        (%(key)s, %(url)s, %(host)s, %(format)s, %(width)s, %(height)s, %(bytes)s, %(sha256)s,
         to_timestamp(%(stored_at)s), %(stored_from)s)
    ON CONFLICT (key) DO UPDATE SET
        format = excluded.format, width = excluded.width, height = excluded.height,
        bytes = excluded.bytes, sha256 = excluded.sha256, stored_at = excluded.stored_at,
        stored_from = excluded.stored_from
    WHERE images.stored_at < excluded.stored_at
"""
FIND = """
    SELECT key, url, host, format, width, height, bytes, sha256,
           extract(epoch FROM stored_at)::float8, stored_from
    FROM images WHERE key = %(key)s
"""
COUNT = "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM images"


def record(cursor: Cursor, records: Iterable[Record]) -> None:
    """Insert the rows, or bring them up to date where these are newer."""
    execute_batch(cursor, RECORD, [dataclasses.asdict(one) for one in records])


def find(cursor: Cursor, key: str) -> Record | None:
    """Return the row of `key`."""
    cursor.execute(FIND, {"key": key})
    row = cursor.fetchone()
    return Record(*row) if row else None


def count(cursor: Cursor) -> tuple[int, int]:
    """Return how many originals there are, and their bytes."""
    cursor.execute(COUNT)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
