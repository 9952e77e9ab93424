"""The prefetch daemon: works `prefetch_requests` off, fairly, within the limits of each domain.

The dispatcher takes turns, slots and leases and writes outcomes down; other threads download.  Each process
of the daemon has one; any number of them may run at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from daemons.prefetch.claims import SLOT_AGAIN_S, Claims
from daemons.prefetch.downloads import Downloads
from daemons.prefetch.housekeeping import Housekeeping
from daemons.prefetch.leases import Leases
from daemons.prefetch.outcomes import Outcomes
from daemons.prefetch.storage_pause import StoragePause
from image_cloud.errors import DatabaseUnavailable, StorageUnavailable

log = logging.getLogger(__name__)

FINISH_S = 22.0  # and then some to write outcomes down: daemons.loop.FINISH_S
FEW = 4
REST, LONGEST_REST_S = 3.0, 0.25
"""Outcomes are gathered so many times longer than the database takes, so that several share a transaction."""
ENOUGH = 6
"""They are enough once one in so many of those under way has come: their slots wait for the next turn."""


class Dispatcher:
    """Claims URLs, has them downloaded, and writes outcomes down."""

    def __init__(
        self,
        downloads: Downloads,
        claims: Claims,
        outcomes: Outcomes,
        housekeeping: Housekeeping,
        leases: Leases,
        pause: StoragePause,
        *,
        idle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_s = idle_s
        self._downloads = downloads
        self._claims = claims
        self._outcomes = outcomes
        self._housekeeping = housekeeping
        self._leases = leases
        self._pause = pause
        self._clock = clock

    def step(self) -> bool:
        """Write outcomes down, then claim and start as much as there are slots and threads for."""
        self._gather(wait_s=0.0)
        began = self._clock()
        self._outcomes.write_down()
        self._housekeeping.step()
        if not self._pause.is_over() or not self._downloads.free():
            self._gather(wait_s=self.idle_s)
            return self._downloads.under_way.total() > 0
        begun = self._claims.begin()
        self._rest(min(REST * (self._clock() - began), LONGEST_REST_S))
        if not begun and self._downloads.under_way:
            self._gather(wait_s=SLOT_AGAIN_S)
        return bool(begun or self._downloads.under_way)

    def _rest(self, seconds: float) -> None:
        """Gather what comes meanwhile, until that is enough or nothing is under way."""
        until = self._clock() + seconds
        missing = max(FEW, self._downloads.under_way.total() // ENOUGH)
        while self._downloads.under_way and missing > 0 and (left_s := until - self._clock()) > 0:
            missing -= self._gather(wait_s=left_s)

    def is_busy(self) -> bool:
        """Say whether so much is under way that further processes are of use."""
        return self._downloads.under_way.total() > max(FEW, self._downloads.most // 8)

    def finish(self) -> None:
        """Let downloads end, write down what became of them, and give the rest back.

        Those that take longer are cut when the process ends.
        """
        self._downloads.withdraw()
        deadline = self._clock() + FINISH_S
        while self._downloads.under_way and self._clock() < deadline:
            self._gather(wait_s=0.2)
        try:
            self._outcomes.write_down()
            self._leases.give_back()
        except (DatabaseUnavailable, StorageUnavailable, OSError):
            log.warning("event=leases_left owner=%s", self._leases.owner)
        self._leases.end()

    def _gather(self, wait_s: float) -> int:
        """Take what has been downloaded, and say how much; wait for the first at most `wait_s`."""
        ended = self._downloads.settled(wait_s)
        for claimed, outcome in ended:
            self._claims.slot_is_free(claimed.domain)
            self._outcomes.add(outcome)
            self._pause.learn(outcome)
        return len(ended)
