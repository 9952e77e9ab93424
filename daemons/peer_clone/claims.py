"""What becomes of claimed requests: they are settled, tried later, or lose their lease."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence

from psycopg2.extensions import cursor as Cursor

from image_cloud.db import catalog, clones
from image_cloud.db.clones import Request
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable, ImageCloudError, PeerAway
from image_cloud.picture.record import Check, Record

log = logging.getLogger(__name__)


class Later:
    """Puts requests off, by `retry_s` and twice as long each time, up to `longest_retry_s`."""

    def __init__(self, database: Database, retry_s: float, longest_retry_s: float) -> None:
        self._database = database
        self._retry_s = retry_s
        self._longest_retry_s = longest_retry_s

    def postpone(self, request: Request, error: Exception) -> None:
        """Put a request off and note why.  Raises DatabaseUnavailable."""
        wait_s = min(self._retry_s * 2 ** min(request.attempts - 1, 20), self._longest_retry_s)
        reason = error.code if isinstance(error, ImageCloudError) else os.strerror(error.errno or 0)  # type: ignore[attr-defined]
        if isinstance(error, PeerAway):
            wait_s = min(wait_s, 4 * self._retry_s)  # it will be asked when it is back, not before
        with self._database.transaction() as cursor:
            clones.postpone(cursor, request.wanted, reason, wait_s)
        log.info("event=clone_postponed key=%s reason=%s", request.wanted.key, reason)


def settle(
    cursor: Cursor, records: Sequence[Record], checks: Sequence[Check], done: Sequence[Record]
) -> None:
    """Write the rows of what is here now, and remove the requests that are `done`."""
    clones.alone(cursor)
    catalog.upsert(cursor, records)
    catalog.record_peers_checks(cursor, checks)
    clones.done(cursor, done)


class Leases:
    """Those of one worker: an outage of the database must not hold what it claimed until they run out."""

    def __init__(self) -> None:
        self._are_lost = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Claim and settle in this block.  Raises what it raises."""
        try:
            yield
        except DatabaseUnavailable:
            self._are_lost = True
            raise

    @contextlib.contextmanager
    def claiming(self, cursor: Cursor) -> Iterator[None]:
        """Make due again what was lost, and then look for work in this block."""
        clones.alone(cursor)
        if self._are_lost:
            clones.release(cursor)  # what others work at is done twice at worst, alike
        yield
        self._are_lost = False
