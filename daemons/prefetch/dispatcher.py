"""The prefetch daemon: works `prefetch_requests` off, fairly, within the limits of each domain.

Run it with `python -m daemons.prefetch`.  The dispatcher takes turns, slots and leases and writes outcomes
down; other threads download.  Any number of these daemons may run at once.
"""

from __future__ import annotations

import logging
import os
import resource
import threading
import time
from collections.abc import Callable

from daemons.loop import Runner
from daemons.prefetch.claims import SLOT_AGAIN_S, Claims
from daemons.prefetch.downloads import Downloads, Start
from daemons.prefetch.giving_up import GivingUp
from daemons.prefetch.grouping import Grouping
from daemons.prefetch.housekeeping import Housekeeping
from daemons.prefetch.job import Job
from daemons.prefetch.leases import Leases
from daemons.prefetch.outcomes import Outcomes
from daemons.prefetch.storage_pause import StoragePause
from daemons.prefetch.thumbnails import Thumbnails
from image_cloud.errors import DatabaseUnavailable
from image_cloud.node import Node
from image_cloud.process.locks import Locks
from image_cloud.process.steps import GoOn

log = logging.getLogger(__name__)

FINISH_S = 22.0  # and then some to write outcomes down: daemons.loop.FINISH_S
NICENESS = 5


class Dispatcher:
    """Claims URLs, has them downloaded, and writes outcomes down."""

    def __init__(
        self,
        downloads: Downloads,
        claims: Claims,
        outcomes: Outcomes,
        housekeeping: Housekeeping,
        leases: Leases,
        pause: StoragePause,
        *,
        idle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_s = idle_s
        self._downloads = downloads
        self._claims = claims
        self._outcomes = outcomes
        self._housekeeping = housekeeping
        self._leases = leases
        self._pause = pause
        self._clock = clock

    def step(self) -> bool:
        """Write outcomes down, then claim and start as much as there are slots and threads for."""
        self._gather(wait_s=0.0)
        self._outcomes.write_down()
        self._housekeeping.step()
        if not self._pause.is_over() or not self._downloads.free():
            self._gather(wait_s=self.idle_s)
            return self._downloads.under_way.total() > 0
        begun = self._claims.begin()
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
            self._outcomes.write_down()
            self._leases.give_back()
        except DatabaseUnavailable:
            log.warning("event=leases_left owner=%s", self._leases.owner)
        self._leases.end()

    def _gather(self, wait_s: float) -> None:
        """Take what has been downloaded; wait for the first at most `wait_s`."""
        for claimed, outcome in self._downloads.settled(wait_s):
            self._claims.slot_is_free(claimed.domain)
            self._outcomes.add(outcome)
            self._pause.learn(outcome)


def wire(node: Node, start: Start, go_on: GoOn) -> Dispatcher:
    """Wire the dispatcher of `node`; `start` runs a worker in a thread of its own."""
    settings, database = node.config.prefetch, node.database
    job = Job(node.cache, node.store.tombstones, _thumbnails(node), node.domains, settings)
    downloads = Downloads(job.work, settings.threads, start)
    grouping = Grouping(database, node.limits, go_on)
    leases = Leases(database, Locks(node.slots_file), settings.lease)
    claims = Claims(database, node.gate.slots, node.domains, grouping, leases, downloads)
    giving_up = GivingUp(database, node.domains, settings.give_up_after, go_on)
    house = Housekeeping(database, node.domains, grouping, leases, giving_up, settings.keep_batches)
    pause = StoragePause(node.store.space)
    return Dispatcher(
        downloads, claims, Outcomes(database), house, leases, pause, idle_s=settings.idle
    )


def _thumbnails(node: Node) -> Thumbnails:
    return Thumbnails(node.maker, node.config.resize, node.config.prefetch.resizes)


def create(node: Node, runner: Runner) -> Dispatcher:
    """Wire the prefetch daemon of this node; users come first at the processor, too."""
    os.nice(NICENESS)
    threading.stack_size(512 * 1024)
    memory = node.config.prefetch.memory
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    runner.start_last("recorder", node.recorder)
    return wire(node, runner.start, runner.go_on)
