"""Taking a batch in: tables `prefetch_batches`, `prefetch_requests`, `prefetch_followers`.

Locks are taken in one order everywhere: requests by key, then domains by name, then batches.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

ROWS_AT_ONCE = 10_000
TURNS_PER_BATCH = 2**20  # more than a batch may have URLs
NO_BATCH = "00000000-0000-0000-0000-000000000000"
SEPARATOR = "\x7f"  # stands in no URL, as line breaks may

NEW_BATCH = """
    INSERT INTO prefetch_batches (id, client, created_at, priority, thumbnails, total, already_cached,
                                  duplicates, rejected, done, finished_at, callback, callback_host,
                                  max_age)
    VALUES (%(id)s, %(client)s, to_timestamp(%(asked_at)s), %(priority)s, %(thumbnails)s, %(total)s,
            %(already_cached)s, %(duplicates)s, %(rejected)s, %(already_cached)s,
            CASE WHEN %(total)s = %(already_cached)s THEN now() END, %(callback)s, %(callback_host)s,
            %(max_age)s)
    RETURNING number
"""
QUEUE = """
    WITH given AS (
        SELECT * FROM unnest(
            string_to_array(%(keys)s, E'\\x7f'), string_to_array(%(urls)s, E'\\x7f'),
            string_to_array(%(domains)s, E'\\x7f'), string_to_array(%(turns)s, E'\\x7f')::bigint[]
        ) AS t (key, url, domain, turn)
    ), put AS (
        INSERT INTO prefetch_requests AS waiting
            (key, url, domain, batch, turn, priority, thumbnails, max_age)
        SELECT key, url, domain, %(batch)s, turn, %(priority)s, %(thumbnails)s::integer[], %(max_age)s
        FROM given ORDER BY key
        ON CONFLICT (key) DO UPDATE SET
            priority = greatest(waiting.priority, excluded.priority),
            thumbnails = ARRAY(SELECT DISTINCT size
                               FROM unnest(waiting.thumbnails || excluded.thumbnails) size ORDER BY 1),
            -- Those that no batch wants are refreshed another time, if the batch does not want that.
            max_age = CASE WHEN waiting.batch = %(no_batch)s AND waiting.owner IS NULL
                THEN excluded.max_age ELSE least(waiting.max_age, excluded.max_age) END
        WHERE waiting.priority < excluded.priority OR NOT waiting.thumbnails @> excluded.thumbnails
            OR coalesce(waiting.max_age, 'Infinity') > coalesce(excluded.max_age, 'Infinity')
        RETURNING key, xmax = 0 AS is_new
    )
    INSERT INTO prefetch_followers (key, batch)
    SELECT key, %(batch)s FROM given
    WHERE key NOT IN (SELECT key FROM put WHERE is_new)
"""
WAKE = """
    INSERT INTO prefetch_domains (domain)
    SELECT domain FROM unnest(%(domains)s::text[]) AS t (domain) ORDER BY domain
    ON CONFLICT (domain) DO UPDATE SET next_at = excluded.next_at WHERE false
"""
COUNT_DUPLICATES = """
    UPDATE prefetch_batches SET duplicates = duplicates + %(count)s WHERE id = %(batch)s
"""


class Wanted(NamedTuple):
    """One URL to be queued."""

    key: str
    url: str
    domain: str


@dataclasses.dataclass(frozen=True)
class NewBatch:
    """A batch as it comes in; `total` counts what it waits for and what is there already.

    `asked_at` is seconds since 1970 by the cluster's clock, to be compared with deletes.  `callback` is
    the URL that is told of the batch's end, `callback_host` its host.  Pictures that were last seen at
    their origins longer than `max_age` seconds ago are asked for again.
    """

    client: str
    asked_at: float
    priority: int
    thumbnails: tuple[int, ...]
    total: int
    already_cached: int
    duplicates: int
    rejected: int
    callback: str | None = dataclasses.field(default=None, repr=False)
    callback_host: str | None = None
    max_age: int | None = None
    id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)


class Queued(NamedTuple):
    """The batch that URLs are queued for, and what it wants."""

    id: str
    priority: int
    thumbnails: tuple[int, ...]
    max_age: int | None = None


def take_in(cursor: Cursor, batch: NewBatch, wanted: Sequence[Wanted]) -> int:
    """Insert the batch and queue what is not waiting yet; return how many waited already."""
    row = dataclasses.asdict(batch) | {"id": str(batch.id), "thumbnails": list(batch.thumbnails)}
    cursor.execute(NEW_BATCH, row)
    found = cursor.fetchone()
    assert found is not None
    queued = Queued(str(batch.id), batch.priority, batch.thumbnails, batch.max_age)
    waited = enqueue(cursor, queued, wanted, found[0] * TURNS_PER_BATCH)
    if waited:
        cursor.execute(COUNT_DUPLICATES, {"count": waited, "batch": str(batch.id)})
    return waited


def enqueue(cursor: Cursor, batch: Queued, wanted: Sequence[Wanted], first_turn: int) -> int:
    """Queue what is not waiting yet, in turns from `first_turn` on; return how many waited already."""
    turns = sorted(enumerate(wanted, first_turn), key=lambda pair: pair[1].key)
    waited = 0
    for start in range(0, len(turns), ROWS_AT_ONCE):
        waited += _queue(cursor, batch, turns[start : start + ROWS_AT_ONCE])
    wake(cursor, {one.domain for one in wanted})
    return waited


def wake(cursor: Cursor, domains: set[str]) -> None:
    """Give every one of `domains` a place in the order of turns, and lock it until the commit."""
    if domains:
        cursor.execute(WAKE, {"domains": sorted(domains)})


def _queue(cursor: Cursor, batch: Queued, turns: Sequence[tuple[int, Wanted]]) -> int:
    values = {
        # One text each is much quicker to hand over than an array.
        "keys": SEPARATOR.join(one.key for _, one in turns),
        "urls": SEPARATOR.join(one.url for _, one in turns),
        "domains": SEPARATOR.join(one.domain for _, one in turns),
        "turns": SEPARATOR.join(str(turn) for turn, _ in turns),
        "batch": batch.id,
        "priority": batch.priority,
        "thumbnails": list(batch.thumbnails),
        "max_age": batch.max_age,
        "no_batch": NO_BATCH,
    }
    cursor.execute(QUEUE, values)
    return int(cursor.rowcount)
