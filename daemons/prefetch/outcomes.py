"""What became of downloads, until the database has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import outcomes
from image_cloud.db.prefetch.outcomes import Outcome


class Outcomes:
    """Keeps outcomes over outages of `database`.

    Before one is written down, `sync` sees to it that the pictures of these keys survive a crash; None where
    they do already.
    """

    def __init__(self, database: Database, sync: Callable[[Sequence[str]], object] | None) -> None:
        self._database = database
        self._sync = sync
        self._unwritten: dict[str, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Keep `outcome` for the next `write_down`."""
        self._unwritten[outcome.key] = outcome

    def write_down(self) -> None:
        """Commit them all at once.

        Raises DatabaseUnavailable, StorageUnavailable and OSError; then all are kept.
        """
        if self._unwritten:
            if self._sync:
                self._sync([one.key for one in self._unwritten.values() if not one.code])
            with self._database.transaction() as cursor:
                outcomes.settle(cursor, self._unwritten.values())
            self._unwritten.clear()
