"""Claims URLs in fair turns, each with the slot for it in hand, so that no thread waits for a domain."""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg2.extensions import cursor as Cursor

from daemons.prefetch.downloads import Downloads
from daemons.prefetch.grouping import Grouping
from daemons.prefetch.leases import Leases
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import queue
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.slots import Slot, Slots
from image_cloud.politeness.trouble import Trouble

TURNS_AT_ONCE = 64
RESERVE = 4  # one in so many threads is kept for domains that have none under way
SLOT_AGAIN_S = 0.05

Taken = dict[str, list[Slot]]


class Claims:
    """Begins as many downloads as there are threads, slots and URLs for.

    `domains` knows which are in trouble, `grouping` how many slots each has.
    """

    def __init__(
        self,
        database: Database,
        slots: Slots,
        domains: Domains,
        grouping: Grouping,
        leases: Leases,
        downloads: Downloads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._slots = slots
        self._domains = domains
        self._grouping = grouping
        self._leases = leases
        self._downloads = downloads
        self._clock = clock
        self._busy_until: dict[str, float] = {}

    def begin(self) -> int:
        """Claim what there are slots for, and begin it when the claim is committed; return how much.

        Raises DatabaseUnavailable.
        """
        taken: Taken = {}
        try:
            with self._database.transaction() as cursor:
                most = min(self._downloads.free(), TURNS_AT_ONCE)
                for domain in queue.whose_turn(cursor, self._busy(), most):
                    self._take_slots(cursor, domain, taken)
                counts = {domain: len(slots) for domain, slots in taken.items()}
                owner, lease_s = self._leases.owner, self._leases.lease_s
                claims = queue.claim(cursor, counts, owner, lease_s)
            for claimed in claims:
                self._downloads.begin(claimed, taken[claimed.domain].pop())
        finally:
            for slot in (slot for left in taken.values() for slot in left):
                slot.give_back()
        return len(claims)

    def slot_is_free(self, domain: str) -> None:
        """Note that a download from `domain` has ended: it may have its turn at once."""
        self._busy_until.pop(domain, None)

    def _take_slots(self, cursor: Cursor, domain: str, taken: Taken) -> None:
        """Take the slots that this domain may have now; remember why it gets none."""
        trouble = self._domains.trouble(domain)
        if trouble and trouble.until > time.time():
            queue.set_aside(cursor, domain, trouble.until)
            return
        count = sum(map(len, taken.values()))
        allowed = min(self._allowance(domain, trouble, count), self._downloads.free() - count)
        found = self._try_slots(domain, allowed)
        if found:
            taken[domain] = found
        else:
            self._busy_until[domain] = self._clock() + SLOT_AGAIN_S

    def _try_slots(self, domain: str, most: int) -> list[Slot]:
        found: list[Slot] = []
        while len(found) < most:
            slot = self._slots.try_one(self._grouping.domain(domain))
            if slot is None:
                break
            found.append(slot)
        return found

    def _allowance(self, domain: str, trouble: Trouble | None, taken: int) -> int:
        """Return for how many more of `domain` there is room, if it has the slots: at least for its first."""
        now = self._downloads.under_way[domain]
        if trouble and trouble.opened:
            return 1 - now  # half-open: one tries
        most = self._grouping.domain(domain).most
        for_many = self._downloads.free() - taken - self._downloads.most // RESERVE
        return min(most, max(for_many, 1 - now))

    def _busy(self) -> list[str]:
        """Return the domains that have all they may, or just had no slot to spare."""
        now = self._clock()
        self._busy_until = {d: until for d, until in self._busy_until.items() if until > now}
        full = [d for d in self._downloads.under_way if self._allowance(d, None, 0) <= 0]
        return [*full, *self._busy_until]
