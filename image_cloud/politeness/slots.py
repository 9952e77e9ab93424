"""Slots: how many downloads run at once from a domain, over all processes of the node.

Slot number n of a domain is one lock (image_cloud/process/locks.py), so it needs no database and is
free again when its holder dies.  Who waits for a user holds the domain's first byte, shared; while
anybody does, nobody else takes a slot.
"""

from __future__ import annotations

import time
from pathlib import Path

from image_cloud.errors import Busy
from image_cloud.politeness.limits import MOST, Domain
from image_cloud.process.locks import LockFile, Locks, offset_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.05
RETRY_AFTER_S = 5.0
_WAITING, _FIRST = 0, 1


class Slot:
    """The right to one download from a domain; `give_back` it, or die.

    Made by Slots alone.
    """

    def __init__(self, domain: Domain, locks: Locks) -> None:
        self.domain = domain
        self._locks = locks

    def give_back(self) -> None:
        """Free the slot; once more does nothing."""
        self._locks.close()


class Slots:
    """All slots of the node.

    Locks bytes of `lock_file`, the same in all processes.
    """

    def __init__(self, lock_file: Path | LockFile) -> None:
        self._lock_file = lock_file

    def try_one(self, domain: Domain) -> Slot | None:
        """Return a slot for work that nobody waits for, None while there is none to spare."""
        return self._take(domain, urgent=False)

    def wait(self, domain: Domain, patience_s: float, *, urgent: bool) -> Slot:
        """Return a slot, before everybody who is not `urgent`.  Raises Busy after `patience_s`."""
        slot = self._take(domain, urgent=urgent)
        if slot is not None:
            return slot
        with Locks(self._lock_file) as mark:
            if urgent:
                mark.take(offset_of(domain.slots) + _WAITING, shared=True)
            return self._poll(domain, time.monotonic() + patience_s, urgent)

    def _poll(self, domain: Domain, deadline: float, urgent: bool) -> Slot:
        pause_s = FIRST_PAUSE_S
        while time.monotonic() < deadline:
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            slot = self._take(domain, urgent=urgent)
            if slot is not None:
                return slot
        raise Busy(
            f"{domain.most} downloads from {domain.slots} are under way already",
            retry_after_s=RETRY_AFTER_S,
        )

    def _take(self, domain: Domain, *, urgent: bool) -> Slot | None:
        locks = Locks(self._lock_file)
        base = offset_of(domain.slots)
        first, beyond = base + _FIRST, base + _FIRST + domain.most
        if urgent or not locks.held_by_others(base + _WAITING):
            # More may be held than there are now: the limit shrank.
            shrank = locks.held_by_others(beyond, MOST - domain.most + 1)
            if not shrank and any(locks.take(byte) for byte in range(first, beyond)):
                return Slot(domain, locks)
        locks.close()
        return None
