"""A daemon in several processes: their parent forks them, and starts again those that die.

The parent does no work and has no threads.  The first worker always runs; it calls for the others
(SIGUSR1) when there is more to do than it can, and they end when they find nothing to do.  Where the
parent dies, the kernel kills the workers.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import time
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)

LOOK_S = 1.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0
STEADY_S = 60.0  # who lived so long is started again at once
CALL = signal.SIGUSR1
ENDING = (signal.SIGTERM, signal.SIGINT)
_HEARD = {*ENDING, CALL, signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl

Work = Callable[[int], int]
"""What the worker of a number (from 1) does; it returns the process's exit status."""


class Processes:
    """Runs `work` in up to `count` processes; `mark` is called again and again while all is well."""

    def __init__(self, count: int, work: Work, mark: Callable[[], None]) -> None:
        self._count = count
        self._work = work
        self._mark = mark
        self._numbers: dict[int, int] = {}  # by process id
        self._started: dict[int, float] = {}
        self._backoffs: dict[int, float] = {}

    def run(self) -> None:
        """Keep the workers running until SIGTERM; then have them end, and wait for that."""
        gc.freeze()  # what all share stays shared
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        wanted = {1}
        while True:
            self._start_missing(wanted)
            self._mark()
            heard = signal.sigtimedwait(_HEARD, LOOK_S)
            if heard and heard.si_signo in ENDING:
                break
            ended = self._reap()
            wanted = {1} | (wanted - ended)
            if heard and heard.si_signo == CALL:
                wanted = set(range(1, self._count + 1))
        self._end()

    def _start_missing(self, wanted: set[int]) -> None:
        now = time.monotonic()
        for number in sorted(wanted - set(self._numbers.values())):
            since = self._started.get(number, float("-inf"))
            if now >= since + self._backoffs.get(number, 0.0):
                self._started[number] = now
                self._numbers[self._fork(number)] = number

    def _reap(self) -> set[int]:
        """Take note of workers that ended; return the numbers of those that ended in order."""
        in_order = set()
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            number = self._numbers.pop(pid)
            if status:
                self._died(number, status)
            else:
                in_order.add(number)
        return in_order

    def _died(self, number: int, status: int) -> None:
        lived_s = time.monotonic() - self._started[number]
        before_s = 0.0 if lived_s > STEADY_S else self._backoffs.get(number, 0.0)
        self._backoffs[number] = min(max(2 * before_s, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
        code = os.waitstatus_to_exitcode(status)
        log.error("event=worker_died number=%d status=%d seconds=%.0f", number, code, lived_s)

    def _end(self) -> None:
        for pid in self._numbers:
            os.kill(pid, signal.SIGTERM)
        while self._numbers:
            self._mark()
            signal.sigtimedwait(_HEARD, LOOK_S)
            self._reap()

    def _fork(self, number: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:  # it lived long enough to be noticed
                status = self._work(number)
        except BaseException:
            traceback.print_exc()
        finally:
            logging.shutdown()  # writes what it has to say
            os._exit(status)


def listen_again() -> None:
    """Take signals in a worker, once it has said what they do."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


def call_for_help() -> None:
    """Have the parent of this worker start the others."""
    os.kill(os.getppid(), CALL)
