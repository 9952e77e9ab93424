"""What became of claimed URLs, in one transaction for many; each batch's counts move with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from image_cloud.db.prefetch.cancelling import take_out_cancelled
from image_cloud.db.prefetch.counts import Counts, add_up
from image_cloud.db.prefetch.intake import NO_BATCH, wake

# A URL for which more thumbnails were asked meanwhile stays, and is ready again.
REMOVE = """
    WITH given AS (
        SELECT t.key, t.made::integer[] AS made
        FROM unnest(%(keys)s::text[], %(made)s::text[]) AS t (key, made)
    ), locked AS (
        SELECT r.key, r.thumbnails <@ given.made OR given.made IS NULL AS is_over
        FROM prefetch_requests AS r JOIN given USING (key)
        ORDER BY r.key FOR UPDATE OF r
    ), again AS (
        UPDATE prefetch_requests SET ready = true, owner = NULL, next_at = NULL
        WHERE key IN (SELECT key FROM locked WHERE NOT is_over)
        RETURNING key, domain, NULL::uuid AS batch, false AS is_over
    ), over AS (
        DELETE FROM prefetch_requests WHERE key IN (SELECT key FROM locked WHERE is_over)
        RETURNING key, domain, batch, true AS is_over
    )
    SELECT * FROM again UNION ALL SELECT * FROM over
"""
UNFOLLOW = "DELETE FROM prefetch_followers WHERE key = ANY (%(keys)s) RETURNING key, batch::text"
LATER = """
    UPDATE prefetch_requests AS r
    SET ready = false, owner = NULL, tries = r.tries + v.tries,
        next_at = clock_timestamp() + v.wait_s * interval '1 second',
        last_code = v.code, last_detail = v.detail
    FROM (SELECT * FROM (VALUES %s) AS given (key, tries, wait_s, code, detail) ORDER BY key) AS v
    WHERE r.key = v.key
"""
LOCK = "SELECT 1 FROM prefetch_requests WHERE key = ANY (%(keys)s) ORDER BY key FOR UPDATE"
FAILED = """
    INSERT INTO prefetch_failures (batch, key, url, code, detail) VALUES %s
    ON CONFLICT (batch, key) DO NOTHING
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one claimed URL.

    `made` are the thumbnails that are there now.  Without `code` it is done; with `wait_s` it is
    tried again after so many seconds, and `tries` is 1 if this try counts; else it has failed.
    """

    key: str
    url: str
    made: tuple[int, ...] = ()
    code: str = ""
    detail: str = ""
    wait_s: float | None = None
    tries: int = 0


def settle(cursor: Cursor, outcomes: Iterable[Outcome]) -> None:
    """Record all `outcomes`; recording them again changes nothing."""
    found = {outcome.key: outcome for outcome in outcomes}
    over = [one for one in found.values() if one.wait_s is None]
    later = [one for one in found.values() if one.wait_s is not None]
    cursor.execute(LOCK, {"keys": sorted(found)})
    if later:
        rows = [(one.key, one.tries, one.wait_s, one.code, one.detail) for one in later]
        execute_values(cursor, LATER, rows, "(%s, %s::smallint, %s::float8, %s, %s)", len(rows))
    ended, again = _remove(cursor, over) if over else ([], {})
    cancelled = take_out_cancelled(cursor, [*again, *(one.key for one in later)])
    wake(cursor, set(again.values()))
    _count(cursor, ended, Counts(cancelled=cancelled))


def _remove(
    cursor: Cursor, over: Sequence[Outcome]
) -> tuple[list[tuple[str, Outcome]], dict[str, str]]:
    """Return which batches' URLs have ended, and the domains of those that are ready again, by key."""
    by_key = {one.key: one for one in over}
    made = [None if one.code else f"{{{','.join(map(str, one.made))}}}" for one in over]
    cursor.execute(REMOVE, {"keys": list(by_key), "made": made})
    rows = cursor.fetchall()
    ended = [(batch, by_key[key]) for key, _, batch, is_over in rows if is_over]
    cursor.execute(UNFOLLOW, {"keys": [one.key for _, one in ended]})
    ended += [(batch, by_key[key]) for key, batch in cursor.fetchall()]
    return ended, {key: domain for key, domain, _, is_over in rows if not is_over}


def _count(cursor: Cursor, ended: Sequence[tuple[str, Outcome]], counts: Counts) -> None:
    counts.done.update(batch for batch, one in ended if not one.code)
    failed = [(batch, one) for batch, one in ended if one.code and batch != NO_BATCH]
    counts.failed.update(batch for batch, _ in failed)
    counts.codes.update((batch, one.code) for batch, one in failed)
    if failed:
        rows = [(batch, one.key, one.url, one.code, one.detail) for batch, one in failed]
        execute_values(cursor, FAILED, rows, page_size=len(rows))
    add_up(cursor, counts)
