"""Nothing is downloaded in advance while the storage takes no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.errors import StorageUnavailable
from image_cloud.storage.space import Space

log = logging.getLogger(__name__)

PAUSE_S = 5.0


class StoragePause:
    """Pauses for PAUSE_S each time that `space` is full or a download could not be stored."""

    def __init__(self, space: Space, clock: Callable[[], float] = time.monotonic) -> None:
        self._space = space
        self._clock = clock
        self._until = float("-inf")

    def is_over(self) -> bool:
        """Say whether downloads may begin."""
        if self._clock() < self._until:
            return False
        try:
            if self._space.has_room():
                return True
            self._begin("storage: full")
        except StorageUnavailable as error:
            self._begin(error.detail)
        return False

    def learn(self, outcome: Outcome) -> None:
        """Begin a pause if `outcome` tells of a storage that took nothing."""
        if outcome.code == StorageUnavailable.code:
            self._begin(outcome.detail)

    def _begin(self, reason: str) -> None:
        self._until = self._clock() + PAUSE_S
        log.warning("event=prefetch_paused seconds=%.0f reason=%r", PAUSE_S, reason)
