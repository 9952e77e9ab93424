"""What goes through the whole catalogue, in pieces: no statement takes longer with more rows.

Millions of rows in one statement take longer than `[database] statement_timeout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor

from image_cloud.db.feed import Position

LAST_OF_NEXT = """
    SELECT key FROM images WHERE key > %(key)s AND deleted_at IS NULL ORDER BY key
    OFFSET %(limit)s - 1 LIMIT 1
"""
FORGET_BETWEEN = """
    DELETE FROM images
    WHERE key > %(key)s AND key <= %(last)s AND deleted_at IS NULL AND xid < %(before)s::xid8
"""
BEYOND_KEYS = "g"  # they are hexadecimal
FORGET_TOMBSTONES = """
    DELETE FROM images WHERE key IN (
        SELECT key FROM images WHERE deleted_at < to_timestamp(%(before)s) AND NOT blocked
        ORDER BY deleted_at LIMIT %(limit)s)
"""
PAGES = "SELECT pg_relation_size('images') / current_setting('block_size')::integer"
COUNT = """
    SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM images
    WHERE deleted_at IS NULL AND ctid >= %(first)s::tid AND ctid < %(end)s::tid
"""
PAGES_AT_ONCE = 20_000
# In one piece: what moves meanwhile must not be missed.
BEHIND = """
    SELECT key FROM images, feed
    WHERE deleted_at IS NULL AND NOT stored_from = ANY(%(known)s)
      AND (feed.epoch::text <> %(epoch)s OR (xid, change) > (%(xid)s::xid8, %(change)s))
"""


def count(cursor: Cursor, pages_at_once: int = PAGES_AT_ONCE) -> tuple[int, int]:
    """Return how many originals there are, and their bytes: a piece of the table at a time."""
    cursor.execute(PAGES)
    (pages,) = cursor.fetchone() or (0,)
    pictures = total_bytes = 0
    for first in range(0, pages, pages_at_once):
        cursor.execute(COUNT, {"first": f"({first},0)", "end": f"({first + pages_at_once},0)"})
        found = cursor.fetchone() or (0, 0)
        pictures, total_bytes = pictures + found[0], total_bytes + found[1]
    return pictures, total_bytes


def forget_after(cursor: Cursor, key: str, before: int, limit: int) -> str | None:
    """Remove the next rows of pictures behind `key` that transactions below `before` wrote.

    Tombstones stay.  Return the last key that was looked at, None at the end.
    """
    cursor.execute(LAST_OF_NEXT, {"key": key, "limit": limit})
    found: Any = cursor.fetchone()
    last: str | None = found[0] if found else None
    values = {"key": key, "last": last or BEYOND_KEYS, "before": str(before)}
    cursor.execute(FORGET_BETWEEN, values)
    return last


def forget_tombstones(cursor: Cursor, before: float, limit: int) -> int:
    """Remove up to `limit` tombstones older than `before` (in seconds), blocks excepted; count them."""
    cursor.execute(FORGET_TOMBSTONES, {"before": before, "limit": limit})
    return cursor.rowcount


def keys_behind(cursor: Cursor, position: str, known: Sequence[str]) -> list[str]:
    """Return the keys of pictures behind `position` in this node's feed, but not from `known`."""
    place = Position.parse(position)
    values: dict[str, Any] = {"epoch": place.epoch, "xid": str(place.xid), "change": place.change}
    values["known"] = list(known)
    cursor.execute(BEHIND, values)
    return [key for (key,) in cursor.fetchall()]
