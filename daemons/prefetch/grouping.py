"""By which domain each URL of the queue counts: the limits file says, and it may change at any time."""

from __future__ import annotations

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import queue
from image_cloud.politeness.limits import Domain, Limits, LimitsFile
from image_cloud.process.steps import GoOn

AT_ONCE = 1000


class Grouping:
    """The limits that the queue's domains are named by."""

    def __init__(self, database: Database, file: LimitsFile, go_on: GoOn) -> None:
        self._database = database
        self._file = file
        self._go_on = go_on
        self._limits: Limits | None = None

    def follow(self) -> None:
        """Read the limits; where they changed, count what waits for the domains of now.

        Raises DatabaseUnavailable.
        """
        limits = self._file.current()
        if limits is self._limits:
            return
        with self._database.transaction() as cursor:
            names = queue.all_domains(cursor)
        for old in names:
            new = limits.domain_named(old).name
            while old != new and self._go_on() and self._move(old, new):
                continue
        self._limits = limits

    def domain(self, name: str) -> Domain:
        """Return the domain that the queue calls `name`."""
        return (self._limits or self._file.current()).domain_named(name)

    def _move(self, old: str, new: str) -> int:
        with self._database.transaction() as cursor:
            return queue.regroup(cursor, old, new, AT_ONCE)
