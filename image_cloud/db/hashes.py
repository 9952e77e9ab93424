"""Difference hashes of the pictures in the catalogue: table `hashes`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from image_cloud.db.catalog import COLUMNS
from image_cloud.picture.dhash import Hash, near
from image_cloud.picture.record import Record

PUT = """
    INSERT INTO hashes (key, version, code) VALUES %s
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, code = excluded.code
    WHERE (hashes.version, hashes.code) IS DISTINCT FROM (excluded.version, excluded.code)
"""
VERSION = "('x' || left(images.sha256, 16))::bit(64)::bigint"
IS_OF = f"hashes.key = images.key AND hashes.version = {VERSION}"
# Ranges of an index, and nothing but the index: the planner takes a range for larger than it is.
PLAN = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off"
PART = """
    SELECT {code} AS code, bit_count(({turned} # %(turned_{turn})s)::bit(64)) AS distance
    FROM unnest(%(lows_{turn})s::bigint[]) AS low
    JOIN hashes ON {turned} BETWEEN low AND low + 281474976710655
    WHERE bit_count(({turned} # %(turned_{turn})s)::bit(64)) <= %(within)s
"""
SHOWN = f"""
    SELECT hashes.code, {COLUMNS.replace("key,", "images.key,", 1)}
    FROM hashes JOIN images ON {IS_OF}
    WHERE hashes.code = ANY(%(codes)s) AND images.deleted_at IS NULL AND images.key <> %(but)s
    LIMIT %(limit)s
"""  # noqa: S608
LACKING = f"""
    SELECT {COLUMNS} FROM images
    WHERE key > %(key)s AND deleted_at IS NULL AND NOT EXISTS (SELECT FROM hashes WHERE {IS_OF})
    ORDER BY key LIMIT %(limit)s
"""  # noqa: S608
COUNT_LACKING = f"""
    SELECT count(*) FROM images
    WHERE deleted_at IS NULL AND NOT EXISTS (SELECT FROM hashes WHERE {IS_OF})
"""  # noqa: S608
LIVE = f"FROM hashes JOIN images ON {IS_OF} WHERE images.deleted_at IS NULL"
PLAIN = "bit_count(hashes.code::bit(64)) < %(bits)s"
COUNT = f"SELECT count(*), count(*) FILTER (WHERE {PLAIN}) {LIVE}"
SAME_BYTES = """
    SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(n - 1), 0)::bigint FROM (
        SELECT count(*) AS n FROM images WHERE deleted_at IS NULL
        GROUP BY sha256 HAVING count(*) > 1) AS groups
"""
SAME_HASH = f"""
    SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(n - 1), 0)::bigint FROM (
        SELECT count(*) AS n {LIVE} AND NOT {PLAIN}
        GROUP BY hashes.code HAVING count(*) > 1) AS groups
"""  # noqa: S608
SAMPLE = f"""
    SELECT hashes.key, hashes.code {LIVE} AND hashes.key > %(key)s AND NOT {PLAIN}
    ORDER BY hashes.key LIMIT %(limit)s
"""


@dataclasses.dataclass(frozen=True)
class Sharing:
    """How many pictures share something with others, and how many of them are more than the first."""

    pictures: int
    spare: int


def put(cursor: Cursor, hashes: Iterable[Hash]) -> None:
    """Insert hashes, or replace those of earlier versions."""
    newest = {one.key: (one.key, one.version, one.code) for one in hashes}
    if newest:
        rows = [newest[key] for key in sorted(newest)]
        execute_values(cursor, PUT, rows, page_size=len(rows))


def codes_near(cursor: Cursor, code: int, within: int, limit: int) -> dict[int, int]:
    """Return the codes within that distance, and their distances, the nearest `limit` in order."""
    parts = near(code, within)
    values: dict[str, Any] = {"within": within, "limit": limit}
    for part in parts:
        values |= {f"turned_{part.turn}": part.turned, f"lows_{part.turn}": part.lows}
    union = " UNION ".join(_part(one.turn) for one in parts)
    cursor.execute(PLAN)
    cursor.execute(f"{union} ORDER BY distance, code LIMIT %(limit)s", values)
    return dict(cursor.fetchall())


def _part(turn: int) -> str:
    """Return the statement that finds codes by the part that is the first after `turn` bits."""
    turned, back = f"hashes.code_{turn}", 64 - turn
    code = f"({turned} << {back}) | (({turned} >> {turn}) & {(1 << back) - 1})"
    if not turn:
        turned = code = "hashes.code"
    return PART.format(code=code, turned=turned, turn=turn)


def of_codes(
    cursor: Cursor, codes: Sequence[int], but_key: str, limit: int
) -> list[tuple[int, Record]]:
    """Return pictures that have one of these codes, `but_key` aside, and which."""
    values = {"codes": list(codes), "but": but_key, "limit": limit}
    cursor.execute(SHOWN, values)
    return [(row[0], Record(*row[1:])) for row in cursor.fetchall()]


def lacking(cursor: Cursor, key: str, limit: int) -> list[Record]:
    """Return the next pictures behind `key`, in the order of keys, whose hash is not known."""
    cursor.execute(LACKING, {"key": key, "limit": limit})
    return [Record(*row) for row in cursor.fetchall()]


def count_lacking(cursor: Cursor) -> int:
    """Return of how many pictures the hash is not known."""
    return _row(cursor, COUNT_LACKING)[0]


def count(cursor: Cursor, plain_bits: int) -> tuple[int, int]:
    """Return how many pictures have a hash, and how many of them one of fewer bits set than that."""
    known, plain = _row(cursor, COUNT, plain_bits)
    return known, plain


def same_bytes(cursor: Cursor) -> Sharing:
    """Return how many pictures have the same bytes as another one."""
    return Sharing(*_row(cursor, SAME_BYTES))


def same_hash(cursor: Cursor, plain_bits: int) -> Sharing:
    """Return how many pictures have the same hash as another one, plain ones left out."""
    return Sharing(*_row(cursor, SAME_HASH, plain_bits))


def sample(cursor: Cursor, key: str, limit: int, plain_bits: int) -> list[tuple[str, int]]:
    """Return key and code of the pictures behind `key`, plain ones left out.

    Keys are as good as random: so are the pictures behind a random key.
    """
    cursor.execute(SAMPLE, {"key": key, "limit": limit, "bits": plain_bits})
    return [(key, int(code)) for key, code in cursor.fetchall()]


def _row(cursor: Cursor, statement: str, plain_bits: int = 0) -> list[int]:
    cursor.execute(statement, {"bits": plain_bits})
    row: Any = cursor.fetchone()
    return [int(value) for value in row]
