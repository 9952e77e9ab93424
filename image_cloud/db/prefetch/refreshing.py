"""Old pictures in the queue: which they are, and rows that belong to no batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from image_cloud.db.catalog import COLUMNS
from image_cloud.db.prefetch.intake import NO_BATCH, SEPARATOR, Wanted, wake
from image_cloud.picture.record import Record

OLD = f"""
    SELECT {COLUMNS}, coalesce(asked_at, stored_at)::text FROM images
    WHERE deleted_at IS NULL AND coalesce(asked_at, stored_at) < to_timestamp(%(before)s)
      AND (coalesce(asked_at, stored_at), key) > (%(since)s::timestamptz, %(key)s)
    ORDER BY coalesce(asked_at, stored_at), key LIMIT %(most)s
"""  # noqa: S608
COUNT = "SELECT count(*) FROM prefetch_requests WHERE batch = %(batch)s"
# What a batch wants already is left alone; one that somebody asks for goes before those that nobody does.
QUEUE = """
    INSERT INTO prefetch_requests AS waiting
        (key, url, domain, batch, turn, priority, thumbnails, max_age)
    SELECT key, url, domain, %(batch)s, %(turn)s, %(priority)s, '{}', %(max_age)s
    FROM unnest(
        string_to_array(%(keys)s, E'\\x7f'), string_to_array(%(urls)s, E'\\x7f'),
        string_to_array(%(domains)s, E'\\x7f')) AS t (key, url, domain)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE SET priority = excluded.priority
    WHERE waiting.batch = %(batch)s AND waiting.priority < excluded.priority
"""


class Place(NamedTuple):
    """A place in the order of age: behind the picture of `key`, whose age counts from `since`."""

    since: str = "-infinity"
    key: str = ""


def old_pictures(
    cursor: Cursor, place: Place, before: float, most: int
) -> tuple[list[Record], Place | None]:
    """Return the next pictures behind `place` whose age counts from earlier than `before`, the oldest first.

    And the place behind them, None where there are no more.
    """
    values = {"before": before, "since": place.since, "key": place.key, "most": most}
    cursor.execute(OLD, values)
    rows = cursor.fetchall()
    behind = Place(rows[-1][-1], rows[-1][0]) if len(rows) == most else None
    return [Record(*row[:-1]) for row in rows], behind


def count(cursor: Cursor) -> int:
    """Return how many old pictures wait that no batch wants."""
    cursor.execute(COUNT, {"batch": NO_BATCH})
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def enqueue(cursor: Cursor, wanted: Sequence[Wanted], priority: int, max_age_s: float) -> None:
    """Queue pictures that no batch wants, to be asked for where they are older than `max_age_s` then."""
    if not wanted:
        return
    values = {
        "keys": SEPARATOR.join(one.key for one in wanted),
        "urls": SEPARATOR.join(one.url for one in wanted),
        "domains": SEPARATOR.join(one.domain for one in wanted),
        "batch": NO_BATCH,
        "turn": int(time.time() * 1e6),
        "priority": priority,
        "max_age": max_age_s,
    }
    cursor.execute(QUEUE, values)
    wake(cursor, {one.domain for one in wanted})
