"""The requests that wait for a worker: visitors' first, but the others' are not forgotten."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from typing import Generic, TypeVar

from image_cloud.decoding.plan import PREFETCH, VISITOR

T = TypeVar("T")
PREFETCH_SHARE = 4
"""Requests of the prefetch daemon may be this part of the visitors' limit; they take no room of theirs."""
IN_A_ROW = 8
"""Visitors' requests after which one of the prefetch daemon has its turn."""


class Waiting(Generic[T]):
    """Two bounded queues; `most` is the limit of visitors' requests."""

    def __init__(self, most: int) -> None:
        self._most = {VISITOR: most, PREFETCH: max(1, most // PREFETCH_SHARE)}
        self._queues: dict[int, collections.deque[T]] = {
            kind: collections.deque() for kind in self._most
        }
        self._in_a_row = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, kind: int) -> int:
        """Return how many requests of the class `kind` wait."""
        return len(self._queues[kind])

    def add(self, kind: int, one: T) -> bool:
        """Queue `one`; say whether there was room."""
        queue = self._queues[kind]
        if len(queue) >= self._most[kind]:
            return False
        queue.append(one)
        return True

    def put_back(self, kind: int, one: T) -> None:
        """Queue `one` again, before all others of its class: its worker was gone."""
        self._queues[kind].appendleft(one)

    def has(self, may: Callable[[T], bool]) -> bool:
        """Say whether one of those that `may` go waits."""
        return any(map(may, itertools.chain(*self._queues.values())))

    def take(self, may: Callable[[T], bool] = lambda _: True) -> T | None:
        """Return whose turn it is among those that `may` go, and take it out; None without one."""
        visitor = next(filter(may, self._queues[VISITOR]), None)
        other = next(filter(may, self._queues[PREFETCH]), None)
        if other is not None and (visitor is None or self._in_a_row >= IN_A_ROW):
            self._in_a_row = 0
            self._queues[PREFETCH].remove(other)
        elif visitor is not None:
            self._in_a_row += 1
            self._queues[VISITOR].remove(visitor)
            return visitor
        return other

    def take_first(self, is_due: Callable[[T], bool]) -> list[T]:
        """Take out the first of each class for as long as `is_due` says so, and return them."""
        taken = []
        for queue in self._queues.values():
            while queue and is_due(queue[0]):
                taken.append(queue.popleft())
        return taken

    def remove(self, one: T) -> None:
        """Take `one` out, wherever it stands."""
        for queue in self._queues.values():
            if one in queue:
                queue.remove(one)
