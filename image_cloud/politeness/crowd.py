"""How many requests for each domain are under way in this process, those that wait included.

A slow domain's visitors wait in threads.  They may fill the places of their own domain, never those of all.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator

from image_cloud.errors import Busy

RETRY_AFTER_S = 5.0


class Crowd:
    """`places` for all requests, at most `most_each` for those of one domain.

    A domain gets one more as long as it has fewer than are free.  So a crowded one takes half of all at most,
    two take a third each, and there is always room for the next.
    """

    def __init__(self, places: int, most_each: int) -> None:
        self._free = places
        self._most_each = most_each
        self._taken: collections.Counter[str] = collections.Counter()
        self._mutex = threading.Lock()

    @contextlib.contextmanager
    def place(self, domain: str) -> Iterator[None]:
        """Hold a place.  Raises Busy at once where `domain` has too many."""
        self._enter(domain)
        try:
            yield
        finally:
            self._leave(domain)

    def _enter(self, domain: str) -> None:
        with self._mutex:
            taken = self._taken[domain]
            if taken >= min(self._most_each, self._free):
                raise Busy(
                    f"{taken} requests for pictures of {domain} are under way already",
                    retry_after_s=RETRY_AFTER_S,
                )
            self._taken[domain] = taken + 1
            self._free -= 1

    def _leave(self, domain: str) -> None:
        with self._mutex:
            self._free += 1
            self._taken[domain] -= 1
            if not self._taken[domain]:
                del self._taken[domain]
