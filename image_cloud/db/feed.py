"""The change feed: rows of `images` in commit order, and what holds it back.

A sequence alone loses rows: number 7 may commit after 8 was read.  So a row carries its transaction's
id, and only rows below the oldest transaction still running are handed out.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from psycopg2.extensions import cursor as Cursor

from image_cloud.errors import DatabaseUnavailable

CHANNEL = "image_cloud_changes"
LAST_CHANGE = 2**63 - 1
READ = """
    SELECT xid::text, change, key, url, host, format, width, height, bytes, sha256,
           extract(epoch FROM stored_at)::float8, extract(epoch FROM deleted_at)::float8, blocked,
           etag, last_modified, final_key, extract(epoch FROM checked_at)::float8
    FROM images
    WHERE (xid, change) > (%(xid)s::xid8, %(change)s)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY images.xid, images.change
    LIMIT %(limit)s
"""
ONE = """
    SELECT key, url, host, format, width, height, bytes, sha256,
           extract(epoch FROM stored_at)::float8, extract(epoch FROM deleted_at)::float8, blocked,
           etag, last_modified, final_key, extract(epoch FROM checked_at)::float8
    FROM images WHERE key = %(key)s
"""
# Not held back: a follower that only drops what it can make again need not see them in order.
NEWS = """
    SELECT xid::text, change, key, sha256, extract(epoch FROM stored_at)::float8,
           extract(epoch FROM deleted_at)::float8, extract(epoch FROM checked_at)::float8,
           xid < pg_snapshot_xmin(pg_current_snapshot())
    FROM images
    WHERE (xid, change) > (%(xid)s::xid8, %(change)s)
    ORDER BY images.xid, images.change
    LIMIT %(limit)s
"""
END = """
    SELECT epoch::text, pg_snapshot_xmin(pg_current_snapshot())::text,
           CASE WHEN pg_is_in_recovery() THEN NULL
                ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END
    FROM feed
"""
STATE = "SELECT epoch::text, pg_snapshot_xmax(pg_current_snapshot())::text FROM feed"
# Rows from a dump carry the old server's transaction ids, which may lie ahead of this one's.
RENEW = "UPDATE feed SET epoch = gen_random_uuid()"
REWRITE = """
    WITH ahead AS MATERIALIZED (
        SELECT key, xid, change FROM images
        WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())
          AND (xid, change) > (%(xid)s::xid8, %(change)s)
        ORDER BY xid, change LIMIT %(limit)s
    )
    UPDATE images SET url = images.url FROM ahead WHERE images.key = ahead.key
    RETURNING ahead.xid::text, ahead.change
"""
HELD = """
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(changed_at)), 0)::float8
    FROM images WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())
"""
HOLDER = """
    SELECT pid, coalesce(datname, '-') FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    ORDER BY age(backend_xid) DESC LIMIT 1
"""
PLACEMENT = "UPDATE feed SET placement = %(placement)s WHERE placement <> %(placement)s"


@dataclasses.dataclass(frozen=True)
class Position:
    """A place in one feed; the text form is the cursor that followers keep."""

    epoch: str
    xid: int = 0
    change: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.xid}.{self.change}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read a cursor; the empty text is the start of any feed.  Raises ValueError."""
        match = re.fullmatch(r"([0-9a-f-]{36})\.([0-9]{1,20})\.([0-9]{1,19})", text)
        if not match and text:
            raise ValueError("not a cursor")
        return cls(match[1], int(match[2]), int(match[3])) if match else cls("")


@dataclasses.dataclass(frozen=True)
class Change:
    """One entry: a picture that is there (`deleted_at` None) or a tombstone.  Times in seconds.

    The last four tell of its origin; nodes of the release before do not.
    """

    key: str
    url: str
    host: str
    format: str | None
    width: int | None
    height: int | None
    bytes: int | None
    sha256: str | None
    stored_at: float | None
    deleted_at: float | None
    blocked: bool
    etag: str | None = None
    last_modified: str | None = None
    final_key: str | None = None
    checked_at: float | None = None


@dataclasses.dataclass(frozen=True)
class News:
    """An entry in short, and its place.  Before one that `is_settled` no other will come.

    `sha256` and `stored_at` are of a picture that is there (`deleted_at` None).
    """

    xid: int
    change: int
    key: str
    sha256: str | None
    stored_at: float | None
    deleted_at: float | None
    checked_at: float | None
    is_settled: bool

    @property
    def place(self) -> tuple[int, int]:
        """Return where it stands in the feed."""
        return self.xid, self.change


@dataclasses.dataclass(frozen=True)
class Held:
    """Changes that wait for a running transaction: how many, since when, and whose it is."""

    changes: int
    seconds: float
    holder: str


def state(cursor: Cursor) -> tuple[str, int]:
    """Return the feed's epoch and the next transaction id."""
    cursor.execute(STATE)
    row: Any = cursor.fetchone()
    return row[0], int(row[1])


def read(cursor: Cursor, after: Position, limit: int) -> tuple[Position, list[Change]]:
    """Return up to `limit` changes behind `after` (of this epoch), and the place behind them."""
    values = {"xid": str(after.xid), "change": after.change, "limit": limit}
    cursor.execute(READ, values)
    rows = cursor.fetchall()
    if not rows:
        return after, []
    return Position(after.epoch, int(rows[-1][0]), rows[-1][1]), [Change(*row[2:]) for row in rows]


def end(cursor: Cursor) -> tuple[Position, str]:
    """Return a place that all entries are before which are there now, and the server's timeline.

    The latter is another one once a standby has taken over, which may lack the last transactions.  Raises
    DatabaseUnavailable where the server is a standby itself: it may lag behind.
    """
    cursor.execute(END)
    row: Any = cursor.fetchone()
    if row[2] is None:
        raise DatabaseUnavailable("the database is a standby")
    return Position(row[0], int(row[1]) - 1, LAST_CHANGE), row[2]


def news(cursor: Cursor, after: Position, limit: int) -> list[News]:
    """Return up to `limit` entries behind `after` (of this epoch), those of running transactions aside.

    Others may come between them while they are not settled.
    """
    cursor.execute(NEWS, {"xid": str(after.xid), "change": after.change, "limit": limit})
    return [News(int(row[0]), *row[1:]) for row in cursor.fetchall()]


def of_key(cursor: Cursor, key: str) -> list[Change]:
    """Return the feed's entries of one key."""
    cursor.execute(ONE, {"key": key})
    return [Change(*row) for row in cursor.fetchall()]


def rewrite(cursor: Cursor, after: Position, limit: int) -> Position | None:
    """Move up to `limit` rows behind `after` here whose transactions are still to come in this server.

    Return the place of the last; None where there are no more.
    """
    cursor.execute(REWRITE, {"xid": str(after.xid), "change": after.change, "limit": limit})
    moved = [(int(xid), change) for xid, change in cursor.fetchall()]
    return Position(after.epoch, *max(moved)) if len(moved) == limit else None


def renew(cursor: Cursor) -> str:
    """Begin a new epoch and return it: this database is not the one that followers know."""
    cursor.execute(RENEW)
    return state(cursor)[0]


def held(cursor: Cursor) -> Held:
    """Return what the horizon holds back now."""
    cursor.execute(HELD)
    row: Any = cursor.fetchone()
    if not row[0]:
        return Held(0, 0.0, "")
    cursor.execute(HOLDER)
    holder: Any = cursor.fetchone()
    return Held(row[0], row[1], f"process {holder[0]} in database {holder[1]}" if holder else "")


def placed_anew(cursor: Cursor, placement: str) -> bool:
    """Record which nodes the pictures are spread over; return whether that changed."""
    cursor.execute(PLACEMENT, {"placement": placement})
    return cursor.rowcount > 0
