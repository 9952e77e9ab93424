"""Slots: how many downloads run at once from a domain, over all processes of the node.

Slot number n of a domain is one lock (image_cloud/process/locks.py), so it needs no database and is
free again when its holder dies.  Who waits for a user holds the domain's first byte, shared; while
anybody does, nobody else takes a slot.

In a process those who wait stand in line.  A slot that is given back goes to the next in line at once; only
the first in line looks, now and then, for what other processes give back.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from image_cloud.errors import Busy
from image_cloud.politeness.limits import MOST, Domain
from image_cloud.politeness.lines import Line, Waiter
from image_cloud.process.locks import LockFile, Locks, offset_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.05
TURN_S = 0.5  # a slot stays in a process for so long while users of another one wait for it
RETRY_AFTER_S = 5.0
_WAITING, _FIRST = 0, 1


class Slot:
    """The right to one download from a domain; `give_back` it, or die.

    Made by Slots alone.  `number` counts from 0; the process has held it since `since_s`.
    """

    def __init__(
        self, slots: Slots, domain: Domain, locks: Locks, number: int, since_s: float
    ) -> None:
        self.domain = domain
        self.number = number
        self.since_s = since_s
        self._slots = slots
        self._locks: Locks | None = locks

    def give_back(self) -> None:
        """Free the slot; once more does nothing."""
        locks, self._locks = self._locks, None
        if locks:
            self._slots.take_back(self, locks)


class Slots:
    """All slots of the node, for any number of threads.

    Locks bytes of `lock_file`, the same in all processes.
    """

    def __init__(self, lock_file: Path | LockFile) -> None:
        self._lock_file = lock_file
        self._mutex = threading.Lock()
        self._lines: dict[str, Line] = {}

    def try_one(self, domain: Domain) -> Slot | None:
        """Return a slot for work that nobody waits for, None while there is none to spare."""
        return self._take(domain, urgent=False)

    def wait(self, domain: Domain, patience_s: float, *, urgent: bool) -> Slot:
        """Return a slot, before everybody who is not `urgent`.  Raises Busy after `patience_s`."""
        with self._mutex:
            is_alone = domain.slots not in self._lines
        slot = self._take(domain, urgent=urgent) if is_alone else None
        return slot or self._stand_in_line(domain, patience_s, urgent)

    def used(self, domain: Domain) -> int:
        """Return how many downloads from `domain` are under way, over all processes."""
        with Locks(self._lock_file) as locks:
            return locks.count_held_by_others(offset_of(domain.slots) + _FIRST, MOST)

    def waiting(self, domain: Domain) -> int:
        """Return how many wait for a slot of `domain` in this process."""
        with self._mutex:
            line = self._lines.get(domain.slots)
            return len(line) if line else 0

    def take_back(self, slot: Slot, locks: Locks) -> None:
        """Give a slot to the next user in this process, or free it for all."""
        with self._mutex:
            line = self._lines.get(slot.domain.slots)
            waiter = line.first() if line else None
            if line and waiter and self._stays(slot, locks, waiter, line):
                waiter.slot = Slot(self, waiter.domain, locks, slot.number, slot.since_s)
                waiter.called.set()
                self._leave(waiter)
                return
            locks.close()
            if line and not line.yields():
                line.call_first()

    def _stays(self, slot: Slot, locks: Locks, waiter: Waiter, line: Line) -> bool:
        """Say whether `waiter` gets the slot, without a chance for other processes."""
        if not waiter.urgent or slot.number >= waiter.domain.most or _shrank(waiter.domain, locks):
            return False
        if time.monotonic() - slot.since_s < TURN_S or not line.others_wait():
            return True
        line.yield_for(2 * LONGEST_PAUSE_S)
        return False

    def _stand_in_line(self, domain: Domain, patience_s: float, urgent: bool) -> Slot:
        deadline = time.monotonic() + patience_s
        waiter = Waiter(domain, urgent=urgent)
        found: Slot | None = None
        with self._mutex:
            line = self._lines.get(domain.slots)
            if line is None:
                line = self._lines[domain.slots] = Line(self._lock_file, _mark_of(domain))
            line.join(waiter)
        try:
            found = self._look(waiter, line, deadline)
        finally:
            with self._mutex:
                self._leave(waiter)
        return _one_of(waiter.slot, found) or _refuse(domain)

    def _look(self, waiter: Waiter, line: Line, deadline: float) -> Slot | None:
        """Return a free slot; None when `waiter` was given one, or its time is over."""
        pause_s = FIRST_PAUSE_S
        while waiter.slot is None and (left_s := deadline - time.monotonic()) > 0:
            is_first = line.first() is waiter
            if waiter.called.wait(min(left_s, pause_s if is_first else left_s)):
                waiter.called.clear()
                pause_s = FIRST_PAUSE_S
            if is_first and waiter.slot is None and not line.yields():
                slot = self._take(waiter.domain, urgent=waiter.urgent)
                if slot is not None:
                    return slot
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return None

    def _leave(self, waiter: Waiter) -> None:
        line = self._lines.get(waiter.domain.slots)
        if line:
            line.leave(waiter)
            if not line:
                del self._lines[waiter.domain.slots]

    def _take(self, domain: Domain, *, urgent: bool) -> Slot | None:
        locks = Locks(self._lock_file)
        base = offset_of(domain.slots)
        if (urgent or not locks.held_by_others(base + _WAITING)) and not _shrank(domain, locks):
            for number in range(domain.most):
                if locks.take(base + _FIRST + number):
                    return Slot(self, domain, locks, number, time.monotonic())
        locks.close()
        return None


def _mark_of(domain: Domain) -> int:
    return offset_of(domain.slots) + _WAITING


def _shrank(domain: Domain, locks: Locks) -> bool:
    """Say whether more are held than there are now."""
    beyond = offset_of(domain.slots) + _FIRST + domain.most
    return locks.held_by_others(beyond, MOST - domain.most + 1)


def _one_of(given: Slot | None, found: Slot | None) -> Slot | None:
    """Return one slot; give the other back."""
    if given and found:
        found.give_back()
    return given or found


def _refuse(domain: Domain) -> Slot:
    raise Busy(
        f"{domain.most} downloads from {domain.slots} are under way already",
        retry_after_s=RETRY_AFTER_S,
    )
