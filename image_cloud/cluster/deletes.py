"""Deletes pictures: on disk first, which takes effect at once, then in the database and its feed."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from image_cloud.cluster.clock import ClusterClock
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from image_cloud.picture.record import TICK_S, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.failures import CHECK, FETCH, RESIZE, Failures
from image_cloud.storage.guard.trouble import unavailable
from image_cloud.storage.recorder import commit_deletes
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Deleted:
    """What a delete did: whether the picture was here, its URL is blocked, the feed announces it yet."""

    deleted: bool
    blocked: bool
    recorded: bool


class Deletes:
    """Deletes pictures of one storage and keeps older copies from coming back."""

    def __init__(
        self, store: Store, failures: Failures, database: Database, clock: ClusterClock
    ) -> None:
        self._store = store
        self._failures = failures
        self._database = database
        self._clock = clock

    def delete(self, url: Url, block: bool | None = None) -> Deleted:
        """Delete `url` here and, through the feed, everywhere; None leaves a block as it is.

        With the database away the delete holds here, and is told as soon as it is back.
        Raises StorageUnavailable.
        """
        key = url.key
        known = self._store.tombstones.find(key)
        record = self._store.records.find(key)
        blocked = block if block is not None else bool(known and known.blocked)
        # Later than everything that is known of this picture, whatever the clocks say.
        earliest = max(known.deleted_at if known else 0.0, record.stored_at if record else 0.0)
        deleted_at = round(max(self._clock.now(), earliest + TICK_S), 6)
        tombstone = Tombstone(key, url.text, deleted_at, blocked)
        was_here = self.bury(tombstone)
        recorded = self.commit([tombstone])
        log.info("event=deleted key=%s here=%s blocked=%s", key, was_here, blocked)
        return Deleted(was_here, blocked, recorded)

    def bury(self, tombstone: Tombstone) -> bool:
        """Remove the picture that `tombstone` deletes from disk; return whether it was here.

        Raises StorageUnavailable.
        """
        try:
            was_here = self._store.bury(tombstone, self._clock.now())
            for kind in (FETCH, RESIZE, CHECK):
                self._failures.forget(tombstone.key, kind)
        except OSError as error:
            raise unavailable(error) from error
        return was_here

    def commit(self, tombstones: Sequence[Tombstone]) -> bool:
        """Write the delete to the database; return whether that worked.  If not, the notes on disk stay."""
        try:
            commit_deletes(self._store, self._database, tombstones, self._clock.now())
        except DatabaseUnavailable:
            log.warning("event=delete_postponed deletes=%d", len(tombstones))
            return False
        return True
