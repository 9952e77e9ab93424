"""What the database knows of one picture: its row in the catalogue, and its places in the queues."""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor

CATALOGUE = """
    SELECT url, format, width, height, bytes, sha256, stored_from, blocked,
           extract(epoch FROM stored_at)::float8 AS stored_at,
           extract(epoch FROM deleted_at)::float8 AS deleted_at,
           extract(epoch FROM checked_at)::float8 AS checked_at, etag, last_modified, gone
    FROM images WHERE key = %(key)s
"""
# How many are before it is counted up to a bound: a shop may have a million.
PREFETCH = """
    SELECT r.domain, r.batch::text AS batch, r.priority, r.tries, r.ready,
           r.owner IS NOT NULL AS is_under_way, extract(epoch FROM r.next_at)::float8 AS next_at,
           r.last_code, r.last_detail,
           (SELECT count(*) FROM (
               SELECT FROM prefetch_requests AS before
               WHERE r.ready AND before.domain = r.domain AND before.ready
                 AND (before.priority > r.priority
                      OR before.priority = r.priority AND before.turn < r.turn)
               LIMIT 10000) AS ones) AS before_it
    FROM prefetch_requests AS r WHERE key = %(key)s
"""
CLONE = """
    SELECT peer, attempts, last_error, extract(epoch FROM requested_at)::float8 AS requested_at,
           extract(epoch FROM not_before)::float8 AS next_at
    FROM clone_requests WHERE key = %(key)s
"""
FAILED = """
    SELECT batch::text AS batch, code, detail, extract(epoch FROM failed_at)::float8 AS failed_at
    FROM prefetch_failures WHERE key = %(key)s ORDER BY failed_at DESC LIMIT 5
"""


def rows_of(cursor: Cursor, key: str) -> dict[str, Any]:
    """Return the rows of `key` by table, times in seconds since 1970; None where there is none."""
    with cursor.connection.cursor(cursor_factory=RealDictCursor) as named:

        def all_of(statement: str) -> list[dict[str, Any]]:
            named.execute(statement, {"key": key})
            return [dict(row) for row in named.fetchall()]

        return {
            "catalogue": next(iter(all_of(CATALOGUE)), None),
            "prefetch": next(iter(all_of(PREFETCH)), None),
            "clone": next(iter(all_of(CLONE)), None),
            "prefetch_failures": all_of(FAILED),
        }
