"""The counts of batches, which move in the transaction that moves their URLs.

total = done + failed + cancelled + waiting; a batch has ended when nothing waits.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from psycopg2.extensions import cursor as Cursor

COUNT = """
    UPDATE prefetch_batches
    SET done = done + %(done)s, failed = failed + %(failed)s, cancelled = cancelled + %(cancelled)s,
        finished_at = CASE
            WHEN done + %(done)s + failed + %(failed)s + cancelled + %(cancelled)s >= total THEN now() END
    WHERE id = %(batch)s
"""
COUNT_CODE = """
    UPDATE prefetch_batches SET failures = jsonb_set(
        failures, ARRAY[%(code)s], to_jsonb(coalesce((failures ->> %(code)s)::integer, 0) + %(count)s))
    WHERE id = %(batch)s
"""

Counter = collections.Counter[str]


@dataclasses.dataclass
class Counts:
    """How many URLs more are done, failed or cancelled, by batch; `codes` by batch and code."""

    done: Counter = dataclasses.field(default_factory=collections.Counter)
    failed: Counter = dataclasses.field(default_factory=collections.Counter)
    cancelled: Counter = dataclasses.field(default_factory=collections.Counter)
    codes: collections.Counter[tuple[str, str]] = dataclasses.field(
        default_factory=collections.Counter
    )


def add_up(cursor: Cursor, counts: Counts, also: Iterable[str] = ()) -> None:
    """Add `counts` to their batches; look whether these, and the batches of `also`, have ended."""
    for batch in sorted({*counts.done, *counts.failed, *counts.cancelled, *also}):
        found = {name: getattr(counts, name)[batch] for name in ("done", "failed", "cancelled")}
        cursor.execute(COUNT, {"batch": batch, **found})
    for (batch, code), count in sorted(counts.codes.items()):
        cursor.execute(COUNT_CODE, {"batch": batch, "code": code, "count": count})
