"""Which peers are worth asking."""

from __future__ import annotations

import threading
from collections.abc import Callable

FIRST_REST_S, LONGEST_REST_S = 0.5, 15.0


class Health:
    """Whether a peer is worth asking: after a failure it rests, and then one call probes it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._rest_s = 0.0
        self._until = float("-inf")

    def may_ask(self) -> bool:
        """Return True unless the peer rests; after a rest, for one caller only."""
        with self._mutex:
            now = self._clock()
            if now < self._until:
                return False
            if self._rest_s:
                self._until = now + self._rest_s
            return True

    def is_away(self) -> bool:
        """Say whether it did not answer when it was asked last."""
        return self._rest_s > 0

    def answered(self) -> None:
        """Note that it answered."""
        with self._mutex:
            self._rest_s, self._until = 0.0, float("-inf")

    def failed(self) -> None:
        """Note that it did not; each time in a row it rests for longer."""
        with self._mutex:
            self._rest_s = min(max(self._rest_s * 2, FIRST_REST_S), LONGEST_REST_S)
            self._until = self._clock() + self._rest_s
