"""Which pictures are new, as far as the catalogue knows, while the storage does not say."""

from __future__ import annotations

from image_cloud.db import feed
from image_cloud.db.connect import Database
from image_cloud.errors import Blocked, DatabaseUnavailable, StorageUnavailable


class Outage:
    """What to do while the storage is away: new pictures are passed through, stored ones wait for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def require_new(self, key: str, error: StorageUnavailable) -> None:
        """Return if no picture of `key` is stored; raise `error` if one is, or nobody can tell.

        Raises Blocked.
        """
        try:
            with self._database.transaction() as cursor:
                rows = feed.of_key(cursor, key)
        except DatabaseUnavailable:
            raise error from None
        if any(row.blocked for row in rows):
            raise Blocked()
        if any(row.deleted_at is None for row in rows):
            raise error
