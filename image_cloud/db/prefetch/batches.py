"""How far batches are, and what waits altogether."""

from __future__ import annotations

import dataclasses
import datetime
import uuid

from psycopg2.extensions import cursor as Cursor

COLUMNS = """
    SELECT id::text, number, client, created_at, finished_at, cancelled_at, priority, thumbnails, total, done,
           failed, cancelled, already_cached, duplicates, rejected, failures,
           callback IS NOT NULL, callback_tries, callback_over, callback_code
    FROM prefetch_batches
"""
FIND = f"{COLUMNS} WHERE id = %(id)s"
NEWEST = f"{COLUMNS} WHERE number < %(before)s ORDER BY number DESC LIMIT %(most)s"
NEWEST_OF = f"""
    {COLUMNS} WHERE client = %(client)s AND number < %(before)s ORDER BY number DESC LIMIT %(most)s
"""
FAILED = """
    SELECT url, code, detail, key FROM prefetch_failures
    WHERE batch = %(batch)s AND key > %(after)s ORDER BY key LIMIT %(most)s
"""
BACKLOG = """
    SELECT (SELECT count(*) FROM prefetch_requests),
           (SELECT count(*) FROM prefetch_requests WHERE owner IS NOT NULL),
           (SELECT count(*) FROM prefetch_requests WHERE NOT ready AND owner IS NULL),
           (SELECT count(*) FROM prefetch_batches WHERE finished_at IS NULL)
"""
OLDEST = """
    SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
    FROM prefetch_batches WHERE finished_at IS NULL
"""
OLD = """
    DELETE FROM prefetch_batches WHERE id = ANY (ARRAY(
        SELECT id FROM prefetch_batches
        WHERE finished_at < now() - %(keep_s)s * interval '1 second'
            AND (callback IS NULL OR callback_over)
        ORDER BY finished_at LIMIT 100))
    RETURNING id::text
"""
OLD_FAILURES = "DELETE FROM prefetch_failures WHERE batch = ANY (%(ids)s::uuid[])"


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far one batch is; total = done + failed + cancelled + waiting.

    `number` grows from batch to batch.  Of its callback, `callback_code` is None before the first try, and
    empty once it was taken.
    """

    batch: str
    number: int
    client: str
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    cancelled_at: datetime.datetime | None
    priority: int
    thumbnails: list[int]
    total: int
    done: int
    failed: int
    cancelled: int
    already_cached: int
    duplicates: int
    rejected: int
    failures: dict[str, int]
    has_callback: bool
    callback_tries: int
    callback_over: bool
    callback_code: str | None

    @property
    def waiting(self) -> int:
        """Return how many URLs wait or are worked on."""
        return self.total - self.done - self.failed - self.cancelled


@dataclasses.dataclass(frozen=True)
class Failed:
    """One URL of a batch's failures."""

    url: str
    code: str
    detail: str
    key: str


@dataclasses.dataclass(frozen=True)
class Backlog:
    """What waits: URLs, those under way and those that wait for another try; unfinished batches."""

    urls: int
    under_way: int
    later: int
    batches: int


def progress(cursor: Cursor, batch: uuid.UUID) -> Progress | None:
    """Return how far `batch` is, None for an unknown one."""
    cursor.execute(FIND, {"id": str(batch)})
    row = cursor.fetchone()
    return Progress(*row) if row else None


def newest(cursor: Cursor, client: str | None, before: int, most: int) -> list[Progress]:
    """Return up to `most` batches with numbers below `before`, the newest first: of `client`, or all."""
    query = NEWEST if client is None else NEWEST_OF
    cursor.execute(query, {"client": client, "before": before, "most": most})
    return [Progress(*row) for row in cursor.fetchall()]


def failed(cursor: Cursor, batch: uuid.UUID, after: str, most: int) -> list[Failed]:
    """Return up to `most` failures of `batch`, by key, those after the key `after`."""
    cursor.execute(FAILED, {"batch": str(batch), "after": after, "most": most})
    return [Failed(*row) for row in cursor.fetchall()]


def backlog(cursor: Cursor) -> Backlog:
    """Count what waits."""
    cursor.execute(BACKLOG)
    row = cursor.fetchone()
    assert row is not None
    return Backlog(*row)


def oldest_s(cursor: Cursor) -> float:
    """Return the age (seconds) of the oldest batch that has not ended, 0 without one."""
    cursor.execute(OLDEST)
    row = cursor.fetchone()
    assert row is not None
    return float(row[0])


def forget_old(cursor: Cursor, keep_s: float) -> int:
    """Forget up to 100 batches that were finished more than `keep_s` ago; return how many."""
    cursor.execute(OLD, {"keep_s": keep_s})
    ids = [id for (id,) in cursor.fetchall()]
    if ids:
        cursor.execute(OLD_FAILURES, {"ids": ids})
    return len(ids)
