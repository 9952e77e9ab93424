"""What became of downloads, until the database has it."""

from __future__ import annotations

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import outcomes
from image_cloud.db.prefetch.outcomes import Outcome


class Outcomes:
    """Keeps outcomes over outages of `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: dict[str, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Keep `outcome` for the next `write_down`."""
        self._unwritten[outcome.key] = outcome

    def write_down(self) -> None:
        """Commit them all at once.  Raises DatabaseUnavailable; then all are kept."""
        if self._unwritten:
            with self._database.transaction() as cursor:
                outcomes.settle(cursor, self._unwritten.values())
            self._unwritten.clear()
