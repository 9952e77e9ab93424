"""The prefetch daemon: works `prefetch_requests` off, fairly, within the limits of each domain.

Run it with `python -m daemons.prefetch`.  The dispatcher takes turns, slots and leases and writes outcomes
down; other threads download.  A URL is claimed only with the slot for it in hand, so that no
thread waits for a domain.  Any number of these daemons may run at once.
"""

from __future__ import annotations

import logging
import os
import resource
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from daemons.loop import Runner
from daemons.prefetch.downloads import Downloads
from daemons.prefetch.job import Job
from daemons.prefetch.thumbnails import Thumbnails
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.db import prefetch_batches, prefetch_intake, prefetch_outcomes, prefetch_queue
from image_cloud.db.connect import Database
from image_cloud.db.prefetch_outcomes import Outcome
from image_cloud.errors import DatabaseUnavailable, StorageUnavailable
from image_cloud.node import Node
from image_cloud.politeness.breaker import Trouble
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import Limits
from image_cloud.politeness.slots import Slot
from image_cloud.process.locks import Locks, offset_of
from image_cloud.process.steps import GoOn
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

TURNS_AT_ONCE = 64
PROMOTED_AT_ONCE = 1000
RESERVE = 4  # one in so many threads is kept for domains that have none under way
SLOT_AGAIN_S = 0.05
PROMOTE_S, HOUSEKEEPING_S, STORAGE_PAUSE_S = 0.25, 60.0, 5.0
FINISH_S = 22.0  # and then some to write outcomes down: daemons.loop.FINISH_S
NICENESS = 5


class Dispatcher:
    """Claims URLs, has them downloaded, and writes outcomes down.

    `locks` shows others that this daemon lives.
    """

    def __init__(
        self,
        downloads: Downloads,
        database: Database,
        gate: Gate,
        store: Store,
        locks: Locks,
        settings: Settings,
        go_on: GoOn,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_s = settings.idle
        self._downloads = downloads
        self._database = database
        self._gate = gate
        self._store = store
        self._locks = locks
        self._settings = settings
        self._go_on = go_on
        self._clock = clock
        self.owner = str(uuid.uuid4())
        locks.take(offset_of(self.owner))
        self._unwritten: dict[str, Outcome] = {}
        self._busy_until: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._storage_pause = float("-inf")
        self._limits: Limits | None = None

    def step(self) -> bool:
        """Write outcomes down, then claim and start as much as there are slots and threads for."""
        self._gather(wait_s=0.0)
        self._write_down()
        self._keep_house()
        if not self._has_room() or not self._downloads.free():
            self._gather(wait_s=self.idle_s)
            return self._downloads.under_way.total() > 0
        begun = self._begin_some()
        if not begun and self._downloads.under_way:
            self._gather(wait_s=SLOT_AGAIN_S)
        return bool(begun or self._downloads.under_way)

    def finish(self) -> None:
        """Let downloads end, write down what became of them, and give the rest back.

        Those that take longer are cut when the process ends.
        """
        self._downloads.withdraw()
        deadline = self._clock() + FINISH_S
        while self._downloads.under_way and self._clock() < deadline:
            self._gather(wait_s=0.2)
        try:
            self._write_down()
            with self._database.transaction() as cursor:
                prefetch_queue.release(cursor, self.owner)
        except DatabaseUnavailable:
            log.warning("event=leases_left owner=%s: the next daemon takes them over", self.owner)
        self._locks.close()

    # --- outcomes --------------------------------------------------------------------------------

    def _gather(self, wait_s: float) -> None:
        """Take what has been downloaded; wait for the first at most `wait_s`."""
        for claimed, outcome in self._downloads.settled(wait_s):
            self._busy_until.pop(claimed.domain, None)
            self._unwritten[outcome.key] = outcome
            if outcome.code == StorageUnavailable.code:
                self._pause_for_storage(outcome.detail)

    def _write_down(self) -> None:
        if self._unwritten:
            with self._database.transaction() as cursor:
                prefetch_outcomes.settle(cursor, self._unwritten.values())
            self._unwritten.clear()

    # --- claims ----------------------------------------------------------------------------------

    def _begin_some(self) -> int:
        """Claim what there are slots for; the claim is committed before anything begins."""
        slots: dict[str, list[Slot]] = {}
        try:
            with self._database.transaction() as cursor:
                most = min(self._downloads.free(), TURNS_AT_ONCE)
                for domain in prefetch_queue.whose_turn(cursor, self._busy(), most):
                    self._take_slots(cursor, domain, slots)
                counts = {domain: len(found) for domain, found in slots.items()}
                claims = prefetch_queue.claim(cursor, counts, self.owner, self._settings.lease)
            for claimed in claims:
                self._downloads.begin(claimed, slots[claimed.domain].pop())
        finally:
            for slot in (slot for left in slots.values() for slot in left):
                slot.give_back()
        return len(claims)

    def _take_slots(self, cursor: Any, domain: str, slots: dict[str, list[Slot]]) -> None:
        """Take the slots that this domain may have now; remember why it gets none."""
        trouble = self._gate.domains.trouble(domain)
        now = time.time()
        if trouble and trouble.until > now:
            prefetch_queue.set_aside(cursor, domain, trouble.until)
            return
        taken = sum(map(len, slots.values()))
        allowed = min(self._allowance(domain, trouble, taken), self._downloads.free() - taken)
        found = self._try_slots(domain, allowed)
        if found:
            slots[domain] = found
        else:
            self._busy_until[domain] = self._clock() + SLOT_AGAIN_S

    def _try_slots(self, domain: str, most: int) -> list[Slot]:
        assert self._limits
        found: list[Slot] = []
        while len(found) < most:
            slot = self._gate.slots.try_one(self._limits.domain_named(domain))
            if slot is None:
                break
            found.append(slot)
        return found

    def _allowance(self, domain: str, trouble: Trouble | None, taken: int) -> int:
        """Return how many more of `domain` may start: one if it has none, more while there is room."""
        assert self._limits
        now = self._downloads.under_way[domain]
        if trouble and trouble.opened:
            return 1 - now  # half-open: one tries
        most = self._limits.domain_named(domain).most
        for_many = self._downloads.free() - taken - self._settings.threads // RESERVE
        return min(most - now, max(for_many, 1 - now))

    def _busy(self) -> list[str]:
        """Return the domains that have all they may, or just had no slot to spare."""
        now = self._clock()
        self._busy_until = {d: until for d, until in self._busy_until.items() if until > now}
        full = [d for d in self._downloads.under_way if self._allowance(d, None, 0) <= 0]
        return [*full, *self._busy_until]

    # --- housekeeping ----------------------------------------------------------------------------

    def _keep_house(self) -> None:
        self._limits_hold()
        if self._is_due("lease", self._settings.lease / 4):
            with self._database.transaction() as cursor:
                prefetch_queue.renew(cursor, self.owner, self._settings.lease)
        if self._is_due("promote", PROMOTE_S):
            self._bury_the_dead()
            with self._database.transaction() as cursor:
                prefetch_queue.promote(cursor, PROMOTED_AT_ONCE)
        if self._is_due("house", HOUSEKEEPING_S):
            self._gate.domains.expire()
            with self._database.transaction() as cursor:
                prefetch_intake.wake(cursor, set(prefetch_queue.all_domains(cursor)))
            with self._database.transaction() as cursor:
                prefetch_batches.forget_old(cursor, self._settings.keep_batches)

    def _limits_hold(self) -> None:
        """Read the limits; where they changed, count what waits for the domains of now."""
        limits = self._gate.limits.current()
        if limits is self._limits:
            return
        self._limits = limits
        with self._database.transaction() as cursor:
            names = prefetch_queue.all_domains(cursor)
        for old in names:
            new = limits.domain_named(old).name
            while old != new and self._go_on() and self._regroup(old, new):
                continue

    def _regroup(self, old: str, new: str) -> int:
        with self._database.transaction() as cursor:
            return prefetch_queue.regroup(cursor, old, new, PROMOTED_AT_ONCE)

    def _bury_the_dead(self) -> None:
        """Give away what daemons hold that live no more."""
        with self._database.transaction() as cursor:
            for owner in prefetch_queue.owners(cursor):
                if owner != self.owner and not self._locks.held_by_others(offset_of(owner)):
                    count = prefetch_queue.release(cursor, owner)
                    log.info("event=taken_over owner=%s urls=%d", owner, count)

    def _has_room(self) -> bool:
        if self._clock() < self._storage_pause:
            return False
        if not self._store.space.has_room():
            self._pause_for_storage("storage: full")
            return False
        return True

    def _pause_for_storage(self, reason: str) -> None:
        self._storage_pause = self._clock() + STORAGE_PAUSE_S
        log.warning("event=prefetch_paused seconds=%.0f reason=%r", STORAGE_PAUSE_S, reason)

    def _is_due(self, what: str, every_s: float) -> bool:
        if self._clock() < self._due.get(what, float("-inf")):
            return False
        self._due[what] = self._clock() + every_s
        return True


def create(node: Node, runner: Runner) -> Dispatcher:
    """Wire the prefetch daemon of this node; users come first at the processor, too."""
    os.nice(NICENESS)
    threading.stack_size(512 * 1024)
    settings = node.config.prefetch
    resource.setrlimit(resource.RLIMIT_DATA, (settings.memory, settings.memory))
    thumbnails = Thumbnails(
        node.store.variants,
        node.failures,
        node.resize_pool,
        node.config.resize,
        settings.resizes,
    )
    job = Job(node.cache, node.store.tombstones, thumbnails, settings)
    downloads = Downloads(job.work, settings.threads, runner.start)
    runner.start_last("recorder", node.recorder)
    return Dispatcher(
        downloads, node.database, node.gate, node.store, Locks(node.slots_file), settings,
        runner.go_on,
    )  # fmt: skip
