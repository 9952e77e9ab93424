"""Who waits in this process for a domain's slots: first come, first served, users before all others."""

from __future__ import annotations

import collections
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from image_cloud.politeness.limits import Domain
from image_cloud.process.locks import LockFile, Locks

if TYPE_CHECKING:
    from image_cloud.politeness.slots import Slot


class Waiter:
    """One that waits: `called` wakes it, `slot` is what it was given."""

    def __init__(self, domain: Domain, *, urgent: bool) -> None:
        self.domain = domain
        self.urgent = urgent
        self.called = threading.Event()
        self.slot: Slot | None = None


class Line:
    """Those who wait for the slots of one domain; call it under the mutex of its Slots.

    While users stand in it, it holds `mark`, a byte of the lock file, shared, for all processes to see.
    """

    def __init__(self, lock_file: Path | LockFile, mark: int) -> None:
        self._lock_file = lock_file
        self._mark = mark
        self._marked: Locks | None = None
        self._urgent: collections.deque[Waiter] = collections.deque()
        self._others: collections.deque[Waiter] = collections.deque()
        self._yields_until_s = 0.0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def first(self) -> Waiter | None:
        """Return who is next; for this no mutex is needed."""
        try:
            return (self._urgent or self._others)[0]
        except IndexError:
            return None

    def join(self, waiter: Waiter) -> None:
        """Let `waiter` stand at the end.  Raises OSError."""
        if waiter.urgent and self._marked is None:
            self._marked = Locks(self._lock_file)
            self._marked.take(self._mark, shared=True)
        self._of(waiter).append(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Take `waiter` out, if it still stands there, and call who is first now."""
        line = self._of(waiter)
        if waiter in line:
            line.remove(waiter)
        if not self._urgent and self._marked:
            self._marked.close()
            self._marked = None
        self.call_first()

    def call_first(self) -> None:
        """Have the first one try."""
        first = self.first()
        if first:
            first.called.set()

    def yield_for(self, seconds: float) -> None:
        """Let other processes go first for so long."""
        self._yields_until_s = time.monotonic() + seconds

    def yields(self) -> bool:
        """Say whether other processes go first now."""
        return time.monotonic() < self._yields_until_s

    def others_wait(self) -> bool:
        """Say whether users wait in another process, too."""
        return bool(self._marked and self._marked.held_by_others(self._mark))

    def _of(self, waiter: Waiter) -> collections.deque[Waiter]:
        return self._urgent if waiter.urgent else self._others
