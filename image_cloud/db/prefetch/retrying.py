"""Retrying a batch: its failures go back into the queue, and it ends once more."""

from __future__ import annotations

import collections
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from image_cloud.db.prefetch.intake import TURNS_PER_BATCH, Queued, Wanted, enqueue

TAKE = "DELETE FROM prefetch_failures WHERE batch = %(batch)s RETURNING key, url, code"
HEADER = "SELECT number, priority, thumbnails, max_age FROM prefetch_batches WHERE id = %(batch)s"
REOPEN = """
    UPDATE prefetch_batches
    SET failed = failed - %(count)s, retried_at = to_timestamp(%(asked_at)s), finished_at = NULL,
        cancelled_at = NULL,
        callback_tries = 0, callback_at = NULL, callback_over = false, callback_code = NULL
    WHERE id = %(batch)s
"""
UNCOUNT_CODE = """
    UPDATE prefetch_batches SET failures = CASE
        WHEN (failures ->> %(code)s)::integer <= %(count)s THEN failures - %(code)s
        ELSE jsonb_set(failures, ARRAY[%(code)s], to_jsonb((failures ->> %(code)s)::integer - %(count)s)) END
    WHERE id = %(batch)s
"""


class Failure(NamedTuple):
    """One URL of a batch that failed."""

    key: str
    url: str
    code: str


def take_failures(cursor: Cursor, batch: uuid.UUID) -> list[Failure]:
    """Take all failures out of `batch`; nobody else does so until the commit."""
    cursor.execute(TAKE, {"batch": str(batch)})
    return [Failure(*row) for row in cursor.fetchall()]


def requeue(
    cursor: Cursor,
    batch: uuid.UUID,
    wanted: Sequence[Wanted],
    codes: Iterable[str],
    asked_at: float,
) -> bool:
    """Queue failures of `batch` again, whose `codes` count no more; say whether it is still there.

    `asked_at` is seconds since 1970 by the cluster's clock.
    """
    cursor.execute(HEADER, {"batch": str(batch)})
    row = cursor.fetchone()
    if row is None:
        return False
    number, priority, thumbnails, max_age = row
    queued = Queued(str(batch), priority, tuple(thumbnails), max_age)
    enqueue(cursor, queued, wanted, number * TURNS_PER_BATCH)
    values = {"batch": str(batch), "asked_at": asked_at}
    cursor.execute(REOPEN, values | {"count": len(wanted)})
    for code, count in sorted(collections.Counter(codes).items()):
        cursor.execute(UNCOUNT_CODE, values | {"code": code, "count": count})
    return True
