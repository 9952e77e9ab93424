"""Which batches have ended and are to be told of, and what became of that.

A batch that has a `callback`, has ended and is not `callback_over` is due at `callback_at`, or at once.
A claim counts the try before it is made: a daemon that dies within costs one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor

CLAIM = """
    UPDATE prefetch_batches
    SET callback_tries = callback_tries + 1, callback_at = now() + %(lease_s)s * interval '1 second'
    WHERE id = ANY (ARRAY(
        SELECT id FROM prefetch_batches
        WHERE callback IS NOT NULL AND NOT callback_over AND finished_at IS NOT NULL
            AND coalesce(callback_at, finished_at) <= now() AND callback_host <> ALL (%(busy)s)
        ORDER BY coalesce(callback_at, finished_at) LIMIT 1 FOR UPDATE SKIP LOCKED))
    RETURNING id::text, client, callback, callback_host, callback_tries, finished_at::text
"""
# A batch that was retried meanwhile is due anew when it ends again.
SETTLE = """
    UPDATE prefetch_batches
    SET callback_code = %(code)s, callback_over = %(wait_s)s IS NULL,
        callback_at = now() + coalesce(%(wait_s)s, 0) * interval '1 second'
    WHERE id = %(batch)s AND finished_at = %(finished_at)s::timestamptz
"""


@dataclasses.dataclass(frozen=True)
class Due:
    """One try to tell `url` that a batch of `client` has ended; `tries` counts it, `ended` names the end."""

    batch: str
    client: str
    url: str = dataclasses.field(repr=False)
    host: str
    tries: int
    ended: str


@dataclasses.dataclass(frozen=True)
class Told:
    """What became of a try: an empty `code` where it was taken; with `wait_s` it is tried again then."""

    due: Due
    code: str = ""
    wait_s: float | None = None


def claim(cursor: Cursor, busy: Sequence[str], lease_s: float) -> Due | None:
    """Claim the callback that has been due for longest, to none of the hosts `busy`, for `lease_s`."""
    cursor.execute(CLAIM, {"busy": list(busy), "lease_s": lease_s})
    row = cursor.fetchone()
    return Due(*row) if row else None


def settle(cursor: Cursor, told: Told) -> None:
    """Record what became of a try."""
    due = told.due
    values = {"batch": due.batch, "finished_at": due.ended, "code": told.code}
    cursor.execute(SETTLE, values | {"wait_s": told.wait_s})
