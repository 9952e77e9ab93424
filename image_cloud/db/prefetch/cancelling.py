"""Cancelling a batch: what waits for it alone leaves the queue; what others want too goes on for them.

Downloads under way are not cut: they count as done or failed when they end.  Where such a one is to be tried
again, or its daemon dies, it is cancelled then.
"""

from __future__ import annotations

import collections
import uuid
from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor

from image_cloud.db.prefetch.counts import Counter, Counts, add_up

UNFINISHED = "SELECT FROM prefetch_batches WHERE id = %(batch)s AND finished_at IS NULL"
# Also those under way: what became of them is committed before this goes on, or after it and knows of it.
LOCK = """
    SELECT key FROM prefetch_requests
    WHERE key = ANY (ARRAY(
        SELECT key FROM prefetch_requests WHERE batch = %(batch)s
        UNION SELECT key FROM prefetch_followers WHERE batch = %(batch)s))
    ORDER BY key FOR UPDATE
"""
MARK = "UPDATE prefetch_batches SET cancelled_at = now() WHERE id = %(batch)s"
CANCELLING = (
    "SELECT id::text FROM prefetch_batches WHERE cancelled_at IS NOT NULL AND finished_at IS NULL"
)
UNFOLLOW = """
    DELETE FROM prefetch_followers AS f USING prefetch_requests AS r
    WHERE f.key = ANY (%(keys)s) AND f.batch = ANY (%(batches)s::uuid[])
        AND r.key = f.key AND r.owner IS NULL
    RETURNING f.batch::text
"""
# A follower takes the batch's place; without one the URL leaves the queue.
HAND_OVER = """
    WITH leaving AS (
        SELECT r.key, r.batch, (
            SELECT f.batch FROM prefetch_followers AS f WHERE f.key = r.key ORDER BY f.batch LIMIT 1
        ) AS heir
        FROM prefetch_requests AS r
        WHERE r.key = ANY (%(keys)s) AND r.owner IS NULL AND r.batch = ANY (%(batches)s::uuid[])
    ), handed AS (
        UPDATE prefetch_requests AS r SET batch = heir FROM leaving
        WHERE r.key = leaving.key AND heir IS NOT NULL
    ), unfollowed AS (
        DELETE FROM prefetch_followers AS f USING leaving WHERE f.key = leaving.key AND f.batch = heir
    ), gone AS (
        DELETE FROM prefetch_requests AS r USING leaving WHERE r.key = leaving.key AND heir IS NULL
    )
    SELECT batch::text FROM leaving
"""


def cancel(cursor: Cursor, batch: uuid.UUID) -> int:
    """Cancel what waits for `batch`; return how many URLs, 0 for a batch that has ended."""
    given = {"batch": str(batch)}
    cursor.execute(LOCK, given)
    keys = [key for (key,) in cursor.fetchall()]
    cursor.execute(UNFINISHED, given)
    if cursor.fetchone() is None:
        return 0
    cancelled = _take_out(cursor, keys, [str(batch)])
    cursor.execute(MARK, given)
    add_up(cursor, Counts(cancelled=cancelled), also=[str(batch)])
    return cancelled.total()


def take_out_cancelled(cursor: Cursor, keys: Sequence[str]) -> Counter:
    """Take cancelled batches out of requests that wait again; return how many URLs of each.

    The requests are locked.
    """
    if not keys:
        return collections.Counter()
    cursor.execute(CANCELLING)
    batches = [batch for (batch,) in cursor.fetchall()]
    return _take_out(cursor, keys, batches) if batches else collections.Counter()


def _take_out(cursor: Cursor, keys: Sequence[str], batches: Sequence[str]) -> Counter:
    given = {"keys": list(keys), "batches": list(batches)}
    found: Counter = collections.Counter()
    for query in (UNFOLLOW, HAND_OVER):  # so that no heir is one of `batches`
        cursor.execute(query, given)
        found.update(batch for (batch,) in cursor.fetchall())
    return found
