"""The cluster's time is that of its fastest clock, so that a later event never looks older.

Each answer of a peer's feed carries the peer's time.  A node whose clock is behind adds the difference
to its own from then on; the file keeps it over restarts and hands it to the node's other processes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.cluster.heard import MOST_AHEAD_S
from image_cloud.process import json_file

log = logging.getLogger(__name__)

RECHECK_S = 0.5
LONGEST_WAIT_S = 1.0
NOTABLE_S = 0.05  # smaller differences are the network's


class ClusterClock:
    """Seconds since 1970 by the cluster's fastest clock, as far as this node has heard of it.

    `file` keeps how far each peer's clock is ahead of this node's `clock`, in seconds.
    """

    def __init__(
        self,
        file: Path,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = file
        self._clock = clock
        self._steady = steady
        self._sleep = sleep
        self._mutex = threading.Lock()
        self._checked = float("-inf")
        self._ahead_s: dict[str, float] = {}

    def now(self) -> float:
        """Return the cluster's time, in whole microseconds."""
        with self._mutex:
            if self._steady() - self._checked > RECHECK_S:
                self._checked = self._steady()
                self._ahead_s = self._read()
            return round(self._clock() + max(0.0, *self._ahead_s.values(), 0.0), 6)

    def wait(self, until: float) -> None:
        """Wait for the cluster's time to reach `until`, LONGEST_WAIT_S at most."""
        wait_s = min(until - self.now(), LONGEST_WAIT_S)
        if wait_s > 0:
            self._sleep(wait_s)

    def own(self) -> float:
        """Return this node's own time: what peers are told."""
        return self._clock()

    def hear(self, peer: str, its_own: float) -> None:
        """Take note of a peer's own time.  A clock that is days ahead is broken, and not followed."""
        ahead_s = its_own - self._clock()
        with self._mutex:
            known = self._read()
            if ahead_s > MOST_AHEAD_S:
                log.error("event=clock_not_followed peer=%s ahead_s=%.0f", peer, ahead_s)
            elif abs(max(ahead_s, 0.0) - known.get(peer, 0.0)) > NOTABLE_S:
                known[peer] = max(ahead_s, 0.0)
                log.warning("event=clock_differs peer=%s ahead_s=%.3f", peer, ahead_s)
                self._write(known)
            self._ahead_s = known

    def _read(self) -> dict[str, float]:
        ahead_s = json_file.read(self._file, dict[str, float]) or {}
        return {name: min(max(s, 0.0), MOST_AHEAD_S) for name, s in ahead_s.items()}

    def _write(self, ahead_s: dict[str, float]) -> None:
        with contextlib.suppress(OSError):  # the next answer tells it again
            json_file.write(self._file, ahead_s)
