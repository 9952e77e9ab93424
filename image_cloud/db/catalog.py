"""The catalogue of originals: table `images`; a row with deleted_at is a tombstone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_batch, execute_values

from image_cloud.picture.record import Check, Record, Tombstone

# The newer store wins, equal times by hash, so that all nodes choose the same; a delete wins over what
# is not newer, and a block over everything.
UPSERT = """
    INSERT INTO images
        (key, url, host, format, width, height, bytes, sha256, stored_at, stored_from,
         etag, last_modified, final_key)
    VALUES %s
    ON CONFLICT (key) DO UPDATE SET
        format = excluded.format, width = excluded.width, height = excluded.height,
        bytes = excluded.bytes, sha256 = excluded.sha256, stored_at = excluded.stored_at,
        stored_from = excluded.stored_from, deleted_at = NULL, etag = excluded.etag,
        last_modified = excluded.last_modified, final_key = excluded.final_key,
        checked_at = NULL, asked_at = NULL, gone = 0
    WHERE NOT images.blocked AND CASE
        WHEN images.deleted_at IS NULL
        THEN (images.stored_at, images.sha256) < (excluded.stored_at, excluded.sha256)
        ELSE images.deleted_at < excluded.stored_at END
"""
UPSERT_ROW = """(%(key)s, %(url)s, %(host)s, %(format)s, %(width)s, %(height)s, %(bytes)s, %(sha256)s,
    to_timestamp(%(stored_at)s), %(stored_from)s, %(etag)s, %(last_modified)s, %(final_key)s)"""
# A store from the future cannot be: its clock was wrong, and the delete came after it.
BURY = """
    INSERT INTO images (key, url, host, deleted_at, blocked)
    VALUES (%(key)s, %(url)s, %(host)s, to_timestamp(%(deleted_at)s), %(blocked)s)
    ON CONFLICT (key) DO UPDATE SET
        deleted_at = excluded.deleted_at, blocked = excluded.blocked, gone = 0
    WHERE CASE
        WHEN images.deleted_at IS NULL
        THEN images.stored_at <= excluded.deleted_at OR excluded.blocked
             OR images.stored_at > to_timestamp(%(future)s)
        ELSE images.deleted_at < excluded.deleted_at END
"""
DROP_REQUEST = """
    DELETE FROM clone_requests
    WHERE key = %(key)s AND (stored_at <= to_timestamp(%(deleted_at)s) OR %(blocked)s)
"""
DROP_HASH = """
    DELETE FROM hashes USING images
    WHERE hashes.key = %(key)s AND images.key = hashes.key AND images.deleted_at IS NOT NULL
"""
COLUMNS = """key, url, host, format, width, height, bytes, sha256,
    extract(epoch FROM stored_at)::float8, stored_from, etag, last_modified, final_key"""
FIND = f"SELECT {COLUMNS} FROM images WHERE key = ANY(%(keys)s) AND deleted_at IS NULL"  # noqa: S608
AFTER = f"""
    SELECT {COLUMNS} FROM images WHERE key > %(key)s AND deleted_at IS NULL
    ORDER BY key LIMIT %(limit)s
"""  # noqa: S608
CORRECT = """
    UPDATE images SET
        url = %(url)s, host = %(host)s, format = %(format)s, width = %(width)s, height = %(height)s,
        bytes = %(bytes)s, sha256 = %(sha256)s, stored_at = to_timestamp(%(stored_at)s)
    WHERE key = %(key)s AND deleted_at IS NULL
"""
FORGET = "DELETE FROM images WHERE key = %(key)s AND deleted_at IS NULL AND sha256 = %(sha256)s"

# Counting millions takes seconds: beyond 100,000 the planner's estimate has to do.
ABOUT = """
    SELECT CASE WHEN reltuples < 100000
           THEN (SELECT count(*) FROM images WHERE deleted_at IS NULL)
           ELSE reltuples::bigint END
    FROM pg_class WHERE oid = 'images'::regclass
"""

# Checks of pictures at their origins are written without a new version.
_OF_THESE_BYTES = "WHERE key = %(key)s AND sha256 = %(sha256)s AND deleted_at IS NULL"
_SEEN = """
    UPDATE images SET
        checked_at = greatest(checked_at, to_timestamp(%(checked_at)s)),
        asked_at = greatest(asked_at, to_timestamp(%(asked_at)s)),
        gone = 0, etag = %(etag)s, last_modified = %(last_modified)s, final_key = %(final_key)s
"""
_IS_NEWS = """
    AND (checked_at IS NULL OR checked_at < to_timestamp(%(told_before)s) OR gone > 0
         OR (etag, last_modified, final_key)
            IS DISTINCT FROM (%(etag)s::text, %(last_modified)s::text, %(final_key)s::text))
"""
# stored_from has the trigger move the row to the feed's end: that is how the peers hear of it.
SEEN_HERE = f"{_SEEN}, stored_from = stored_from {_OF_THESE_BYTES} {_IS_NEWS}"
SEEN_BY_PEERS = f"""
    {_SEEN} {_OF_THESE_BYTES}
    AND (checked_at IS NULL OR checked_at < to_timestamp(%(checked_at)s))
"""
NOT_SEEN = f"""
    UPDATE images SET asked_at = greatest(asked_at, to_timestamp(%(asked_at)s)), gone = %(gone)s
    {_OF_THESE_BYTES}
"""  # noqa: S608
COUNT_GONE = "SELECT count(*) FROM images WHERE gone >= %(least)s AND gone > 0"


def upsert(cursor: Cursor, records: Iterable[Record]) -> None:
    """Insert the rows, or update those that are older and not deleted since.

    One statement for all, in the order of keys, so that two processes never wait for each other.
    """
    newest: dict[str, Record] = {}
    for one in records:
        known = newest.setdefault(one.key, one)
        if known.version < one.version:
            newest[one.key] = one
    rows = [vars(newest[key]) for key in sorted(newest)]
    execute_values(cursor, UPSERT, rows, UPSERT_ROW, page_size=len(rows) or 1)


def bury(cursor: Cursor, tombstones: Iterable[Tombstone], now: float) -> None:
    """Turn rows into tombstones unless they were stored later; drop clone requests likewise.

    `now` is the cluster's time: a store later than that does not count as newer.
    """
    rows: list[dict[str, Any]] = [
        {**dataclasses.asdict(one), "host": one.host, "future": now} for one in tombstones
    ]
    execute_batch(cursor, BURY, rows)
    execute_batch(cursor, DROP_REQUEST, rows)
    execute_batch(cursor, DROP_HASH, rows)


def correct(cursor: Cursor, record: Record) -> None:
    """Make the row of a picture say what `record` does, whichever is newer."""
    cursor.execute(CORRECT, dataclasses.asdict(record))


def find(cursor: Cursor, key: str) -> Record | None:
    """Return the row of `key`."""
    return find_all(cursor, [key]).get(key)


def find_all(cursor: Cursor, keys: Sequence[str]) -> dict[str, Record]:
    """Return the rows of those `keys` that are in the catalogue."""
    cursor.execute(FIND, {"keys": list(keys)})
    return {row[0]: Record(*row) for row in cursor.fetchall()}


def after(cursor: Cursor, key: str, limit: int) -> list[Record]:
    """Return the next rows behind `key` in the order of keys."""
    cursor.execute(AFTER, {"key": key, "limit": limit})
    return [Record(*row) for row in cursor.fetchall()]


def forget(cursor: Cursor, records: Iterable[Record]) -> None:
    """Remove rows without leaving tombstones: the pictures are gone, but were not deleted."""
    execute_batch(cursor, FORGET, [dataclasses.asdict(one) for one in records])


def about(cursor: Cursor) -> int:
    """Return an estimate of the number of originals, in constant time."""
    cursor.execute(ABOUT)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def record_checks(cursor: Cursor, checks: Iterable[Check], tell_every_s: float) -> None:
    """Record what this node found out; of a picture that is checked all the time not more often than so."""
    seen, failed = [], []
    for one in sorted(checks, key=lambda check: check.key):
        row: dict[str, Any] = dataclasses.asdict(one)
        if one.checked_at is None:
            failed.append(row)
        else:
            seen.append({**row, "told_before": one.checked_at - tell_every_s})
    execute_batch(cursor, SEEN_HERE, seen)
    execute_batch(cursor, NOT_SEEN, failed)


def record_peers_checks(cursor: Cursor, checks: Sequence[Check]) -> None:
    """Record what a peer told of; that is news for nobody else."""
    rows = [dataclasses.asdict(one) for one in sorted(checks, key=lambda check: check.key)]
    execute_batch(cursor, SEEN_BY_PEERS, rows, page_size=1000)


def count_gone(cursor: Cursor, least: int) -> int:
    """Return of how many pictures the origin said so often in a row that there is none."""
    cursor.execute(COUNT_GONE, {"least": least})
    row: Any = cursor.fetchone()
    return int(row[0])
