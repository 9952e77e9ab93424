"""Working the queue off: turns, claims, leases, retries.

A claim is short and commits before anything is downloaded.  Nothing here waits for a row lock that a
claim holds, but those that are taken in the order of image_cloud/db/intake.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from psycopg2.extensions import cursor as Cursor

from image_cloud.db.prefetch.cancelling import take_out_cancelled
from image_cloud.db.prefetch.counts import Counts, add_up
from image_cloud.db.prefetch.intake import NO_BATCH, wake

WHOSE_TURN = """
    SELECT domain FROM prefetch_domains
    WHERE next_at <= statement_timestamp() AND domain <> ALL (%(busy)s)
    ORDER BY next_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""
CLAIM = """
    WITH turn AS (
        SELECT * FROM unnest(%(domains)s::text[], %(counts)s::integer[]) AS t (domain, count)
    ), picked AS (
        SELECT one.key FROM turn CROSS JOIN LATERAL (
            SELECT key FROM prefetch_requests AS r
            WHERE r.domain = turn.domain AND r.ready
            ORDER BY r.priority DESC, r.turn LIMIT turn.count FOR UPDATE SKIP LOCKED
        ) AS one
    )
    UPDATE prefetch_requests AS r
    SET ready = false, owner = %(owner)s,
        next_at = clock_timestamp() + %(lease_s)s * interval '1 second'
    WHERE r.key = ANY (ARRAY(SELECT key FROM picked))
    RETURNING r.priority, r.turn, r.key, r.url, r.domain, r.thumbnails, r.tries, (
        SELECT coalesce(extract(epoch FROM max(greatest(b.created_at, b.retried_at)))::float8, 'Infinity')
        FROM prefetch_batches AS b
        WHERE b.id = ANY (r.batch || ARRAY(
            SELECT f.batch FROM prefetch_followers AS f WHERE f.key = r.key))
    ), r.batch::text || ARRAY(SELECT f.batch::text FROM prefetch_followers AS f WHERE f.key = r.key),
        r.max_age
"""
END_OF_LINE = """
    UPDATE prefetch_domains SET next_at = clock_timestamp() WHERE domain = ANY (%(domains)s)
"""
SET_ASIDE = """
    UPDATE prefetch_domains SET next_at = to_timestamp(%(until)s) WHERE domain = %(domain)s
"""
FORGET_EMPTY = """
    DELETE FROM prefetch_domains AS d
    WHERE d.domain = ANY (%(domains)s) AND NOT EXISTS (
        SELECT 1 FROM prefetch_requests AS r WHERE r.domain = d.domain AND r.ready)
"""
RENEW = """
    UPDATE prefetch_requests SET next_at = clock_timestamp() + %(lease_s)s * interval '1 second'
    WHERE key = ANY (ARRAY(
        SELECT key FROM prefetch_requests WHERE owner = %(owner)s FOR UPDATE SKIP LOCKED))
"""
OWNERS = "SELECT DISTINCT owner::text FROM prefetch_requests WHERE owner IS NOT NULL"
RELEASE = """
    UPDATE prefetch_requests SET ready = true, owner = NULL, next_at = NULL
    WHERE key = ANY (ARRAY(
        SELECT key FROM prefetch_requests WHERE owner = %(owner)s FOR UPDATE SKIP LOCKED))
    RETURNING key, domain
"""
PROMOTE = """
    UPDATE prefetch_requests SET ready = true, owner = NULL, next_at = NULL
    WHERE key = ANY (ARRAY(
        SELECT key FROM prefetch_requests WHERE NOT ready AND next_at <= statement_timestamp()
        ORDER BY next_at LIMIT %(most)s FOR UPDATE SKIP LOCKED))
    RETURNING key, domain
"""
ALL_DOMAINS = """
    WITH RECURSIVE walk AS (
        (SELECT domain FROM prefetch_requests WHERE ready ORDER BY domain LIMIT 1)
        UNION ALL
        SELECT (SELECT r.domain FROM prefetch_requests AS r
                WHERE r.ready AND r.domain > walk.domain ORDER BY r.domain LIMIT 1)
        FROM walk WHERE walk.domain IS NOT NULL
    )
    SELECT domain FROM walk WHERE domain IS NOT NULL
"""
WAITING = """
    WITH ready AS (
        SELECT key, url FROM prefetch_requests WHERE domain = %(domain)s AND ready
        LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), later AS (
        SELECT key, url FROM prefetch_requests
        WHERE domain = %(domain)s AND NOT ready AND owner IS NULL
        LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    SELECT * FROM ready UNION ALL SELECT * FROM later LIMIT %(most)s
"""
PUT_OFF = """
    SELECT domain FROM prefetch_domains WHERE next_at > clock_timestamp()
    ORDER BY next_at DESC LIMIT %(most)s
"""
BRING_FORWARD = """
    UPDATE prefetch_domains SET next_at = clock_timestamp()
    WHERE domain = ANY (ARRAY(
        SELECT domain FROM prefetch_domains WHERE domain = ANY (%(domains)s) ORDER BY domain
        FOR UPDATE SKIP LOCKED))
"""
REGROUP = """
    UPDATE prefetch_requests SET domain = %(new)s
    WHERE key = ANY (ARRAY(
        SELECT key FROM prefetch_requests WHERE domain = %(old)s AND ready
        LIMIT %(most)s FOR UPDATE SKIP LOCKED))
"""


@dataclasses.dataclass(frozen=True)
class Claimed:
    """One URL to work on; `tries` is how often it failed before.

    `asked_at` is when a batch last asked for it, in seconds since 1970 by the cluster's clock; `batches`
    are all that want it.  One that is here is asked for again where it is older than `max_age_s`.
    """

    key: str
    url: str
    domain: str
    thumbnails: tuple[int, ...]
    tries: int
    asked_at: float
    batches: tuple[str, ...] = ()
    max_age_s: float | None = None

    @property
    def is_unasked(self) -> bool:
        """Say whether it only waits because it is old: no batch wants it."""
        return self.batches == (NO_BATCH,)


def whose_turn(cursor: Cursor, busy: Sequence[str], most: int) -> list[str]:
    """Return up to `most` domains whose turn it is, without `busy` ones, locked until the commit."""
    cursor.execute(WHOSE_TURN, {"busy": list(busy), "most": most})
    return [domain for (domain,) in cursor.fetchall()]


def claim(cursor: Cursor, counts: Mapping[str, int], owner: str, lease_s: float) -> list[Claimed]:
    """Lease up to the given number of ready URLs of each domain (locked by `whose_turn`) to `owner`.

    The domains go to the end of the line; those that are empty now leave it.
    """
    if not counts:
        return []
    domains = sorted(counts)
    values = {"domains": domains, "counts": [counts[d] for d in domains]}
    cursor.execute(CLAIM, values | {"owner": owner, "lease_s": lease_s})
    rows = sorted(cursor.fetchall(), key=lambda row: (-row[0], row[1]))
    found = [
        Claimed(k, u, d, tuple(t), n, at, tuple(b), age) for _, _, k, u, d, t, n, at, b, age in rows
    ]
    cursor.execute(END_OF_LINE, {"domains": domains})
    came = dict.fromkeys(domains, 0)
    for one in found:
        came[one.domain] += 1
    short = [domain for domain in domains if came[domain] < counts[domain]]
    if short:
        cursor.execute(FORGET_EMPTY, {"domains": short})
    return found


def set_aside(cursor: Cursor, domain: str, until: float) -> None:
    """Give `domain` (locked by `whose_turn`) no turn before `until`, seconds since 1970."""
    cursor.execute(SET_ASIDE, {"domain": domain, "until": until})


def put_off(cursor: Cursor, most: int) -> list[str]:
    """Return up to `most` domains that have no turn yet, the longest waiting ones first."""
    cursor.execute(PUT_OFF, {"most": most})
    return [domain for (domain,) in cursor.fetchall()]


def bring_forward(cursor: Cursor, domains: Sequence[str]) -> None:
    """Give `domains` their turn now."""
    cursor.execute(BRING_FORWARD, {"domains": list(domains)})


def lock_waiting(cursor: Cursor, domain: str, most: int) -> list[tuple[str, str]]:
    """Lock up to `most` URLs of `domain` that nobody works on; return their keys and them."""
    cursor.execute(WAITING, {"domain": domain, "most": most})
    return cursor.fetchall()


def renew(cursor: Cursor, owner: str, lease_s: float) -> None:
    """Extend every lease of `owner`."""
    cursor.execute(RENEW, {"owner": owner, "lease_s": lease_s})


def owners(cursor: Cursor) -> list[str]:
    """Return the daemons that hold leases."""
    cursor.execute(OWNERS)
    return [owner for (owner,) in cursor.fetchall()]


def release(cursor: Cursor, owner: str) -> int:
    """Make every request that `owner` holds ready; return how many."""
    cursor.execute(RELEASE, {"owner": owner})
    return _wait_again(cursor)


def promote(cursor: Cursor, most: int) -> int:
    """Make up to `most` URLs ready whose wait or lease is over; return how many."""
    cursor.execute(PROMOTE, {"most": most})
    return _wait_again(cursor)


def _wait_again(cursor: Cursor) -> int:
    """Wake the domains of the requests that the last query made ready, but for cancelled ones."""
    domains = dict(cursor.fetchall())
    cancelled = take_out_cancelled(cursor, list(domains))
    wake(cursor, set(domains.values()))
    add_up(cursor, Counts(cancelled=cancelled))
    return len(domains)


def all_domains(cursor: Cursor) -> list[str]:
    """Return every domain that has something ready, in order."""
    cursor.execute(ALL_DOMAINS)
    return [domain for (domain,) in cursor.fetchall()]


def regroup(cursor: Cursor, old: str, new: str, most: int) -> int:
    """Count up to `most` of what is ready in domain `old` for `new`; return how many."""
    cursor.execute(REGROUP, {"old": old, "new": new, "most": most})
    count = int(cursor.rowcount)
    wake(cursor, {new})
    return count
