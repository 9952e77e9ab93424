"""A daemon in several processes: the first always runs, and starts the others when it has much to do.

They run the same command, and the environment tells them their number.  They end when they find nothing to
do; one that dies is started again.  Where the first dies, the kernel kills them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0
STEADY_S = 60.0  # who lived so long is started again at once
LOOK_S = 0.1  # while they end
_NUMBER = "IMAGE_CLOUD_PROCESS"
_PR_SET_PDEATHSIG = 1


class Helpers:
    """The processes 2 to `count` of a daemon; `forget` removes what one that died has left.

    `call` may come from any thread, all else from the first process's main thread: the kernel kills them
    when the thread that started them ends.
    """

    def __init__(self, count: int, forget: Callable[[int], None]) -> None:
        self._count = count
        self._forget = forget
        self._is_called = False
        self._wanted: set[int] = set()
        self._numbers: dict[int, int] = {}  # by process id
        self._started: dict[int, float] = {}
        self._backoffs: dict[int, float] = {}

    def call(self) -> None:
        """Have the next `look` start all of them."""
        self._is_called = True

    def look(self) -> None:
        """Start those that are called, and again those that died."""
        self._wanted -= self._reap()
        if self._is_called:
            self._is_called = False
            self._wanted = set(range(2, self._count + 1))
        now = time.monotonic()
        for number in sorted(self._wanted - set(self._numbers.values())):
            since = self._started.get(number, float("-inf"))
            if now >= since + self._backoffs.get(number, 0.0):
                self._started[number] = now
                self._start(number)

    def end(self) -> None:
        """Have them end."""
        for pid in self._numbers:
            os.kill(pid, signal.SIGTERM)

    def join(self, patience_s: float) -> None:
        """Wait for their end; those that take longer end with this process."""
        deadline = time.monotonic() + patience_s
        self._reap()
        while self._numbers and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            self._reap()

    def _start(self, number: int) -> None:
        environment = {**os.environ, _NUMBER: f"{number} {os.getpid()}"}
        try:
            pid = os.posix_spawn(sys.executable, sys.orig_argv, environment)
        except OSError as error:
            log.error("event=no_process number=%d reason=%r", number, error.strerror)
            self._back_off(number)
        else:
            self._numbers[pid] = number

    def _reap(self) -> set[int]:
        """Take note of those that ended; return the numbers of those that ended in order."""
        in_order = set()
        for pid, number in list(self._numbers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._numbers[pid]
            if status:
                self._died(number, status)
            else:
                in_order.add(number)
        return in_order

    def _died(self, number: int, status: int) -> None:
        code, lived_s = os.waitstatus_to_exitcode(status), time.monotonic() - self._started[number]
        log.error("event=worker_died number=%d status=%d seconds=%.0f", number, code, lived_s)
        if lived_s > STEADY_S:
            self._backoffs.pop(number, None)
        self._back_off(number)
        self._forget(number)

    def _back_off(self, number: int) -> None:
        before_s = self._backoffs.get(number, 0.0)
        self._backoffs[number] = min(max(2 * before_s, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)


def own_number() -> int:
    """Return the number of this process, from 1; a further one has the kernel end it with the first."""
    if _NUMBER not in os.environ:
        return 1
    import ctypes  # in a further process alone

    number, first = map(int, os.environ[_NUMBER].split())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != first:
        os._exit(1)
    return number
