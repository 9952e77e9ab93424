"""Threads that start when they are needed and end when they are not, for a pool whose threads mostly wait."""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

KEEP_S = 30.0

Job = Callable[[], None]


class GrowingThreads:
    """At most `most` threads; one that had no job for `keep_s` ends.  As far as gunicorn needs an Executor.

    The thread that was busy last gets the next job, so that the others can end.
    """

    def __init__(self, most: int, keep_s: float = KEEP_S) -> None:
        self._most = most
        self._keep_s = keep_s
        self._mutex = threading.Lock()
        self._count = 0
        self._idle: list[queue.SimpleQueue[Job | None]] = []
        self._waiting: collections.deque[Job] = collections.deque()
        self._ends = False

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run `function` in a thread, as soon as one is free."""
        future: Future[Any] = Future()
        job = _job(future, function, arguments)
        with self._mutex:
            if self._idle:
                self._idle.pop().put(job)
            elif self._count >= self._most or not self._start(job):
                self._waiting.append(job)
        return future

    def start(self, job: Job) -> bool:
        """Run `job`, which raises nothing, if a thread is free for it now; say whether one is."""
        with self._mutex:
            if self._ends:
                return False
            if self._idle:
                self._idle.pop().put(job)
                return True
            return self._count < self._most and self._start_if_possible(job)

    def idle(self) -> int:
        """Return how many threads have nothing to do."""
        with self._mutex:
            return len(self._idle)

    def shutdown(self, **_options: Any) -> None:
        """End the threads as they become idle; wait for none."""
        with self._mutex:
            self._ends = True
            for inbox in self._idle:
                inbox.put(None)
            self._idle.clear()

    def _start(self, job: Job) -> bool:
        """Start a thread; say whether the system has room for it, or nobody else would do the job."""
        try:
            threading.Thread(target=self._run, args=(job,), daemon=True).start()
        except RuntimeError:
            if not self._count:
                raise
            return False
        self._count += 1
        return True

    def _start_if_possible(self, job: Job) -> bool:
        with contextlib.suppress(RuntimeError):
            return self._start(job)
        return False

    def _run(self, first: Job) -> None:
        inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        job: Job | None = first
        while job:
            job()
            job = self._next(inbox)

    def _next(self, inbox: queue.SimpleQueue[Job | None]) -> Job | None:
        """Return the next job; None ends the thread."""
        with self._mutex:
            if self._waiting:
                return self._waiting.popleft()
            if self._ends:
                self._count -= 1
                return None
            self._idle.append(inbox)
        try:
            return inbox.get(timeout=self._keep_s)
        except queue.Empty:
            return self._end(inbox)

    def _end(self, inbox: queue.SimpleQueue[Job | None]) -> Job | None:
        """Leave, unless a job came in this very moment."""
        with self._mutex:
            if inbox in self._idle:
                self._idle.remove(inbox)
                self._count -= 1
                return None
        return inbox.get()


def _job(future: Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]) -> Job:
    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    return run
