"""The clone queue (`clone_requests`) and how far each peer's feed was read (`peers`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from image_cloud.db.feed import Change
from image_cloud.picture.record import Record

# Of one page of a feed, all at once: an empty node reads millions of rows.
ADD = """
    INSERT INTO clone_requests
        (key, url, host, format, width, height, bytes, sha256, stored_at, peer,
         etag, last_modified, final_key, checked_at)
    SELECT told.* FROM (VALUES %s) AS told
        (key, url, host, format, width, height, bytes, sha256, stored_at, peer,
         etag, last_modified, final_key, checked_at)
    WHERE NOT EXISTS (
        SELECT FROM images WHERE images.key = told.key AND CASE
            WHEN deleted_at IS NULL
            THEN (images.stored_at, images.sha256) >= (told.stored_at, told.sha256)
            ELSE deleted_at >= told.stored_at OR blocked END)
    ON CONFLICT (key) DO UPDATE SET
        format = excluded.format, width = excluded.width, height = excluded.height,
        bytes = excluded.bytes, sha256 = excluded.sha256, stored_at = excluded.stored_at,
        peer = excluded.peer, not_before = now(), attempts = 0, etag = excluded.etag,
        last_modified = excluded.last_modified, final_key = excluded.final_key,
        checked_at = excluded.checked_at
    WHERE (clone_requests.stored_at, clone_requests.sha256) < (excluded.stored_at, excluded.sha256)
"""
ADD_ROW = """(%(key)s, %(url)s, %(host)s, %(format)s, %(width)s::integer, %(height)s::integer,
    %(bytes)s::bigint, %(sha256)s, to_timestamp(%(stored_at)s), %(peer)s,
    %(etag)s, %(last_modified)s, %(final_key)s, to_timestamp(%(checked_at)s))"""
# Most of what a feed tells of is known already: this costs less than to offer it once more.
KNOWN = """
    SELECT key, extract(epoch FROM stored_at)::float8, sha256 FROM images
    WHERE key = ANY(%(keys)s) AND deleted_at IS NULL
    UNION ALL
    SELECT key, extract(epoch FROM stored_at)::float8, sha256 FROM clone_requests
    WHERE key = ANY(%(keys)s)
"""
# The lease and the wait for the next try are one column: both mean "not before".
_CLAIM = """
    UPDATE clone_requests SET attempts = attempts + 1, last_error = NULL,
        not_before = now() + make_interval(secs => %(lease_s)s)
    WHERE key IN (
        SELECT key FROM clone_requests WHERE not_before <= now() {}
        ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING key, url, host, format, width, height, bytes, sha256,
              extract(epoch FROM stored_at)::float8, peer, etag, last_modified, final_key,
              extract(epoch FROM checked_at)::float8, attempts
"""
CLAIM = _CLAIM.format("")
# The conditions are those of the indexes clone_requests_new and clone_requests_again.
CLAIM_NEW = _CLAIM.format("AND attempts = 0 AND peer = %(peer)s")
CLAIM_AGAIN = _CLAIM.format("AND attempts > 0")
DUE = """
    SELECT count(*) FROM (
        SELECT FROM clone_requests WHERE attempts = 0 AND peer = %(peer)s AND not_before <= now()
        LIMIT %(most)s) AS due
"""
DONE = """
    DELETE FROM clone_requests USING (VALUES %s) AS done (key, stored_at, sha256)
    WHERE clone_requests.key = done.key
      AND (clone_requests.stored_at, clone_requests.sha256) <= (done.stored_at, done.sha256)
"""
DONE_ROW = "(%(key)s, to_timestamp(%(stored_at)s), %(sha256)s)"
GIVE_BACK = """
    UPDATE clone_requests SET not_before = now(), attempts = %(attempts)s
    WHERE key = ANY(%(keys)s) AND not_before > now()
"""
POSTPONE = """
    UPDATE clone_requests SET last_error = %(error)s,
        -- What is given up after some tries is what nobody has, not what nobody could be asked for.
        attempts = CASE WHEN %(error)s = 'peer_away' THEN 0 ELSE attempts END,
        not_before = now() + make_interval(secs => %(wait_s)s)
    WHERE key = %(key)s AND stored_at = to_timestamp(%(stored_at)s)
"""
WAKE = """
    UPDATE clone_requests SET not_before = now() WHERE last_error = 'peer_away' AND not_before > now()
"""
# A try that was broken off is none.  What has failed says why.
RELEASE = """
    UPDATE clone_requests SET not_before = now(),
        attempts = CASE WHEN last_error IS NULL THEN greatest(attempts - 1, 0) ELSE attempts END
    WHERE not_before > now()
"""
ALONE = "SELECT pg_advisory_xact_lock(%(lock)s)"
LOCK_ID = 0x1C0C10  # any number that no other advisory lock has
COUNT = "SELECT count(*) FROM clone_requests"
# The first number is that of the index.
STUCK = """
    SELECT url, peer, attempts, coalesce(last_error, ''), extract(epoch FROM now() - requested_at)::float8,
           extract(epoch FROM not_before - now())::float8
    FROM clone_requests WHERE attempts >= 3 ORDER BY attempts DESC LIMIT %(most)s
"""
# A request is due from the moment it came, or from its next try on.
OLDEST = """
    SELECT greatest(coalesce(extract(epoch FROM now() - min(not_before)), 0), 0)::float8
    FROM clone_requests
"""
BY_PEER = """
    SELECT name, (SELECT count(*) FROM clone_requests WHERE peer = name),
           extract(epoch FROM now() - caught_up_at)::float8
    FROM peers
"""
CURSOR = "SELECT cursor FROM peers WHERE name = %(name)s"
POSITIONS = "SELECT name, cursor FROM peers"
SAVE = """
    INSERT INTO peers (name, url, epoch, cursor, last_seen, caught_up_at, backlog)
    VALUES (%(name)s, %(url)s, split_part(%(cursor)s, '.', 1), %(cursor)s, now(),
            CASE WHEN %(caught_up)s THEN now() END, %(backlog)s)
    ON CONFLICT (name) DO UPDATE SET
        url = excluded.url, last_seen = now(),
        -- The feed may have been rewound while this answer was under way.
        epoch = CASE WHEN peers.cursor = %(before)s THEN excluded.epoch ELSE peers.epoch END,
        cursor = CASE WHEN peers.cursor = %(before)s THEN excluded.cursor ELSE peers.cursor END,
        caught_up_at = coalesce(excluded.caught_up_at, peers.caught_up_at),
        backlog = excluded.backlog
"""
REWIND = "UPDATE peers SET cursor = ''"
KEEP_ONLY = "DELETE FROM peers WHERE NOT name = ANY(%(names)s)"


@dataclasses.dataclass(frozen=True)
class Request:
    """One claimed request: the picture, the peer that announced it, the number of this try (from 1).

    `checked_at` is when a node last saw the picture at its origin, None where none has since its store.
    """

    wanted: Record
    peer: str
    attempts: int
    checked_at: float | None = None


@dataclasses.dataclass(frozen=True)
class PeerQueue:
    """What is to be cloned that a peer told of, and how long ago (seconds) its feed was read to its end."""

    name: str
    requests: int
    lag_s: float | None


@dataclasses.dataclass(frozen=True)
class Stuck:
    """A request that was tried `attempts` times in vain, `age_s` old, and due in `next_s` seconds."""

    url: str
    peer: str
    attempts: int
    error: str
    age_s: float
    next_s: float


def alone(cursor: Cursor) -> None:
    """Wait until no other transaction works on the queue; call it first in each that changes many requests.

    Claims go by time and the others by key, so that two of them could wait for each other.
    """
    cursor.execute(ALONE, {"lock": LOCK_ID})


def add(cursor: Cursor, changes: Iterable[Change], peer: str) -> None:
    """Queue those stored pictures that are newer than what the catalogue has or has deleted."""
    newest: dict[str, Change] = {}
    for change in changes:  # a feed has each key once; a peer may say anything
        known = newest.setdefault(change.key, change)
        if _version(known) < _version(change):
            newest[change.key] = change
    cursor.execute(KNOWN, {"keys": list(newest)})
    for key, *version in cursor.fetchall():
        if key in newest and _version(newest[key]) <= tuple(version):
            del newest[key]
    rows = [{**vars(newest[key]), "peer": peer} for key in sorted(newest)]
    execute_values(cursor, ADD, rows, ADD_ROW, page_size=1000)


def _version(change: Change) -> tuple[float | None, str | None]:
    return change.stored_at, change.sha256


def claim(cursor: Cursor, limit: int, lease_s: float) -> list[Request]:
    """Take up to `limit` requests that are due; unless they are done they are due after the lease."""
    return _claim(cursor, CLAIM, limit, lease_s)


def claim_new(cursor: Cursor, peer: str, limit: int, lease_s: float) -> list[Request]:
    """Take those of which `peer` told and that nobody has tried yet."""
    return _claim(cursor, CLAIM_NEW, limit, lease_s, peer)


def claim_again(cursor: Cursor, limit: int, lease_s: float) -> list[Request]:
    """Take those that were tried before."""
    return _claim(cursor, CLAIM_AGAIN, limit, lease_s)


def _claim(
    cursor: Cursor, statement: str, limit: int, lease_s: float, peer: str = ""
) -> list[Request]:
    cursor.execute(statement, {"limit": limit, "lease_s": lease_s, "peer": peer})
    return [Request(Record(*row[:13]), row[9], row[14], row[13]) for row in cursor.fetchall()]


def due(cursor: Cursor, peer: str, most: int) -> int:
    """Count, up to `most`, the requests of which `peer` told and that nobody has tried yet."""
    cursor.execute(DUE, {"peer": peer, "most": most})
    row: Any = cursor.fetchone()
    return int(row[0])


def give_back(cursor: Cursor, keys: Sequence[str], attempts: int) -> None:
    """Make claimed requests due again, as tried so often."""
    if keys:
        cursor.execute(GIVE_BACK, {"keys": list(keys), "attempts": attempts})


def done(cursor: Cursor, wanted: Iterable[Record]) -> None:
    """Remove what is cloned, unless a newer version is wanted meanwhile."""
    rows = [vars(one) for one in sorted(wanted, key=lambda one: one.key)]
    execute_values(cursor, DONE, rows, DONE_ROW, page_size=1000)


def postpone(cursor: Cursor, wanted: Record, error: str, wait_s: float) -> None:
    """Put a request off and note why."""
    cursor.execute(POSTPONE, {**dataclasses.asdict(wanted), "error": error, "wait_s": wait_s})


def release(cursor: Cursor) -> None:
    """Make everything due: the process that held the leases is gone, or a peer is back."""
    cursor.execute(RELEASE)


def wake(cursor: Cursor) -> None:
    """Make requests due that wait for a peer to come back."""
    cursor.execute(WAKE)


def positions(cursor: Cursor) -> dict[str, str]:
    """Return how far the feed of each peer was read."""
    cursor.execute(POSITIONS)
    return dict(cursor.fetchall())


def count(cursor: Cursor) -> int:
    """Return the backlog."""
    cursor.execute(COUNT)
    row: Any = cursor.fetchone()
    return int(row[0])


def oldest_s(cursor: Cursor) -> float:
    """Return for how long (seconds) the first request has been due, 0 without one."""
    cursor.execute(OLDEST)
    row: Any = cursor.fetchone()
    return float(row[0])


def by_peer(cursor: Cursor) -> list[PeerQueue]:
    """Return the backlog by the peers that are followed."""
    cursor.execute(BY_PEER)
    return [PeerQueue(*row) for row in cursor.fetchall()]


def stuck(cursor: Cursor, most: int) -> list[Stuck]:
    """Return up to `most` requests that were tried in vain again and again, the most tried first."""
    cursor.execute(STUCK, {"most": most})
    return [Stuck(*row) for row in cursor.fetchall()]


def cursor_of(cursor: Cursor, name: str) -> str:
    """Return how far the feed of peer `name` was read; empty: not at all."""
    cursor.execute(CURSOR, {"name": name})
    row: Any = cursor.fetchone()
    return str(row[0]) if row else ""


def save_cursor(
    cursor: Cursor,
    name: str,
    url: str,
    position: str,
    backlog: int,
    *,
    caught_up: bool,
    before: str,
) -> None:
    """Note how far the feed of peer `name` was read (from `before`), and its backlog."""
    values = {"name": name, "url": url, "cursor": position, "backlog": backlog}
    cursor.execute(SAVE, {**values, "caught_up": caught_up, "before": before})


def rewind(cursor: Cursor) -> None:
    """Have every peer's feed read from its start."""
    cursor.execute(REWIND)


def keep_only(cursor: Cursor, names: Sequence[str]) -> None:
    """Forget peers that are no longer configured."""
    cursor.execute(KEEP_ONLY, {"names": list(names)})
