"""What one daemon has claimed: its own while it lives, and for no longer than a lease."""

from __future__ import annotations

import logging
import uuid

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import queue
from image_cloud.process.locks import Locks, offset_of

log = logging.getLogger(__name__)


class Leases:
    """The claims of the daemon called `owner`, for `lease_s` seconds each time they are renewed.

    A lock of `locks` shows the other daemons of the node that it lives.
    """

    def __init__(self, database: Database, locks: Locks, lease_s: float) -> None:
        self.owner = str(uuid.uuid4())
        self.lease_s = lease_s
        self._database = database
        self._locks = locks
        locks.take(offset_of(self.owner))

    def renew(self) -> None:
        """Extend every lease.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            queue.renew(cursor, self.owner, self.lease_s)

    def take_over(self) -> None:
        """Make ready again what dead daemons hold.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            for owner in queue.owners(cursor):
                if owner != self.owner and not self._locks.held_by_others(offset_of(owner)):
                    count = queue.release(cursor, owner)
                    log.info("event=taken_over owner=%s urls=%d", owner, count)

    def give_back(self) -> None:
        """Make everything ready that is still claimed.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            queue.release(cursor, self.owner)

    def end(self) -> None:
        """Show that this daemon lives no more: others take over what it did not give back."""
        self._locks.close()
