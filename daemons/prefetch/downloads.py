"""The threads that download, one URL at a time each; started when there is work for one more."""

from __future__ import annotations

import collections
import contextlib
import queue
from collections.abc import Callable

from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.politeness.slots import Slot
from image_cloud.process.steps import Worker

Job = Callable[[Claimed, Slot], Outcome]
Start = Callable[[str, Worker], None]
LOOK_S = 5.0  # so often a thread without work marks its heartbeat


class Downloads:
    """What was begun and is not settled; `job` does one, in one of at most `most` threads.

    `start` runs a worker in a thread of the name that it is given.
    """

    def __init__(self, job: Job, most: int, start: Start) -> None:
        self.under_way: collections.Counter[str] = collections.Counter()
        self.most = most
        self._start = start
        self._threads = 0
        self._begun: queue.SimpleQueue[tuple[Claimed, Slot] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Claimed, Outcome]] = queue.SimpleQueue()
        self._worker = _Download(job, self._begun, self._done)

    def free(self) -> int:
        """Return how many more may begin."""
        return self.most - self.under_way.total()

    def begin(self, claimed: Claimed, slot: Slot) -> None:
        """Have `claimed` done; its job gives `slot` back."""
        self.under_way[claimed.domain] += 1
        self._begun.put((claimed, slot))
        if self._threads < min(self.under_way.total(), self.most):
            self._threads += 1
            self._start(f"download-{self._threads}", self._worker)

    def settled(self, wait_s: float) -> list[tuple[Claimed, Outcome]]:
        """Take what has ended; wait for the first at most `wait_s`."""
        ended: list[tuple[Claimed, Outcome]] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._done.get(timeout=wait_s) if wait_s else self._done.get_nowait())
            while True:
                ended.append(self._done.get_nowait())
        for claimed, _ in ended:
            self._leave(claimed)
        return ended

    def withdraw(self) -> None:
        """Give up what no thread has taken up yet: its slots are free again."""
        with contextlib.suppress(queue.Empty):
            while True:
                waiting = self._begun.get_nowait()
                if waiting:
                    claimed, slot = waiting
                    slot.give_back()
                    self._leave(claimed)
        for _ in range(self._threads):
            self._worker.wake()

    def _leave(self, claimed: Claimed) -> None:
        self.under_way[claimed.domain] -= 1
        self.under_way += collections.Counter()  # drops what is at zero


class _Download:
    """What each of the threads does."""

    idle_s = 0.0

    def __init__(
        self,
        job: Job,
        begun: queue.SimpleQueue[tuple[Claimed, Slot] | None],
        done: queue.SimpleQueue[tuple[Claimed, Outcome]],
    ) -> None:
        self._job = job
        self._begun = begun
        self._done = done

    def step(self) -> bool:
        """Do one job, if one comes."""
        with contextlib.suppress(queue.Empty):
            begun = self._begun.get(timeout=LOOK_S)
            if begun:
                self._done.put((begun[0], self._job(*begun)))
        return True

    def wake(self) -> None:
        """End one thread's wait for a job."""
        self._begun.put(None)
