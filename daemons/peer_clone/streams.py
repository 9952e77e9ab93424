"""Which requests are left to streams just now (daemons/peer_clone/streamer.py)."""

from __future__ import annotations

import threading
from collections.abc import Collection

LEAST = 32
"""Fewer requests come sooner picture by picture, several at once."""
AT_ONCE = 3
"""Streams of this node at once: each holds a group of open files."""


class Streams:
    """Who streams what, for all threads of the daemon; `turns` bounds how many do at once."""

    def __init__(self) -> None:
        self.turns = threading.BoundedSemaphore(AT_ONCE)
        self._mutex = threading.Lock()
        self._taken: dict[str, frozenset[str]] = {}
        self._expected: set[str] = set()

    def take(self, source: str, told_by: Collection[str]) -> None:
        """Note that the stream from `source` takes what these peers told of; nothing ends that."""
        with self._mutex:
            self._taken[source] = frozenset(told_by)

    def expect(self, peer: str, requests: int) -> None:
        """Leave what this peer is about to tell of to a stream, where it is worth one."""
        if requests >= LEAST:
            with self._mutex:
                self._expected.add(peer)

    def look(self, peer: str) -> None:
        """Note that this peer's streamer looks now; what is expected from here on waits for its next look."""
        with self._mutex:
            self._taken[peer] = self._taken.get(peer, frozenset()) | (self._expected & {peer})
            self._expected.discard(peer)

    def names(self) -> frozenset[str]:
        """Return the peers whose requests streams take."""
        with self._mutex:
            return frozenset(self._expected).union(*self._taken.values())
