"""Stops a peer's feed that deletes far more than people do, until an operator says go."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.process import json_file

HOUR_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Spent:
    """How many pictures a feed deleted here in the hour from `since` (seconds since 1970)."""

    since: float = 0.0
    deletes: int = 0


class Brake:
    """Counts what each feed deletes here, for any number of threads of one process.

    `counts` keeps the numbers over restarts; `permits` is what operators said, in any process.
    """

    def __init__(
        self,
        counts: Path,
        permits: Path,
        most_per_hour: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.most_per_hour = most_per_hour
        self._counts = counts
        self._permits = permits
        self._clock = clock
        self._mutex = threading.Lock()
        self._spent = json_file.read(counts, dict[str, Spent]) or {}

    def permit(self, peer: str) -> None:
        """Let the feed of `peer` delete what it wants for an hour from now.  Raises OSError."""
        permits = json_file.read(self._permits, dict[str, float]) or {}
        json_file.write(self._permits, {**permits, peer: self._clock() + HOUR_S}, durable=True)

    def passes(self, peer: str, deletes: int) -> bool:
        """Count `deletes` of pictures that are here; return whether they may go ahead."""
        now = self._clock()
        permits = json_file.read(self._permits, dict[str, float]) or {}
        if not deletes or 0 < permits.get(peer, 0.0) - now <= HOUR_S:
            return True
        with self._mutex:
            spent = self._spent.get(peer, Spent())
            if not 0 <= now - spent.since < HOUR_S:
                spent = Spent(now)
            spent = dataclasses.replace(spent, deletes=spent.deletes + deletes)
            if spent.deletes > self.most_per_hour:
                return False
            self._spent[peer] = spent
            with contextlib.suppress(OSError):  # a full disk: it is counted in memory
                json_file.write(self._counts, self._spent)
        return True
