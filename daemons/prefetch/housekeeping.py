"""What the queue needs from time to time, whoever works it off."""

from __future__ import annotations

import time
from collections.abc import Callable

from daemons.prefetch.giving_up import GivingUp
from daemons.prefetch.grouping import Grouping
from daemons.prefetch.leases import Leases
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches, intake, queue
from image_cloud.politeness.breaker import Domains
from image_cloud.supervision.metrics import queues

PROMOTE_S, TROUBLE_S, MEASURE_S, CLEAN_UP_S = 0.25, 1.0, 15.0, 60.0
PROMOTED_AT_ONCE, PUT_OFF_AT_ONCE = 1000, 1000


class Housekeeping:
    """Limits, leases, waits and pauses that are over, dead domains, old batches, and counts.

    A batch is old when it ended more than `keep_batches_s` ago.
    """

    def __init__(
        self,
        database: Database,
        domains: Domains,
        grouping: Grouping,
        leases: Leases,
        giving_up: GivingUp,
        keep_batches_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._domains = domains
        self._grouping = grouping
        self._leases = leases
        self._giving_up = giving_up
        self._keep_batches_s = keep_batches_s
        self._clock = clock
        self._due: dict[str, float] = {}

    def step(self) -> None:
        """Do what is due.  Raises DatabaseUnavailable."""
        self._grouping.follow()
        if self._is_due("renew", self._leases.lease_s / 4):
            self._leases.renew()
        if self._is_due("promote", PROMOTE_S):
            self._leases.take_over()
            with self._database.transaction() as cursor:
                queue.promote(cursor, PROMOTED_AT_ONCE)
        if self._is_due("trouble", TROUBLE_S):
            began = self._clock()
            self._giving_up.step()
            self._end_pauses()
            self._due["trouble"] = self._clock() + max(TROUBLE_S, 20 * (self._clock() - began))
        if self._is_due("measure", MEASURE_S):
            queues.measure(self._database)
        if self._is_due("clean up", CLEAN_UP_S):
            self._clean_up()

    def _end_pauses(self) -> None:
        """Give domains their turn whose pause ended early: by an operator, or by a user's success."""
        with self._database.transaction() as cursor:
            waiting = queue.put_off(cursor, PUT_OFF_AT_ONCE)
            mended = [domain for domain in waiting if self._domains.trouble(domain) is None]
            if mended:
                queue.bring_forward(cursor, mended)

    def _clean_up(self) -> None:
        self._domains.expire()
        with self._database.transaction() as cursor:
            intake.wake(cursor, set(queue.all_domains(cursor)))
        with self._database.transaction() as cursor:
            batches.forget_old(cursor, self._keep_batches_s)

    def _is_due(self, what: str, every_s: float) -> bool:
        if self._clock() < self._due.get(what, float("-inf")):
            return False
        self._due[what] = self._clock() + every_s
        return True
