"""The workers: forked from the parent when there is something to do, limited; one stays when there is not."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Sequence
from typing import NoReturn

from daemons.decoder import landlock
from daemons.decoder.worker import work
from image_cloud.config.sections import Resize

log = logging.getLogger(__name__)

PICTURES, MORE_PICTURES = 2000, 500
"""A worker ends after so many pictures, and up to so many more: memory that libraries lose comes back."""
HIRE_PAUSE_S = 0.5  # between two workers that ended before they did anything
SPARE_S = 20.0
"""A worker that had nothing to do for so long ends, but for the last one: each takes 9 MB."""
_PR_SET_PDEATHSIG = 1
_FIRST_DESCRIPTOR = 3  # behind stdin, stdout and stderr
_libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a worker may have: `memory` bytes of address space."""

    memory: int

    def apply(self) -> None:
        """Limit this process."""
        resource.setrlimit(resource.RLIMIT_AS, (self.memory, self.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@dataclasses.dataclass(eq=False)
class Worker:
    """One worker's process, and the parent's end of the channel to it."""

    pid: int
    channel: socket.socket
    is_retired: bool = False
    idle_since: float = 0.0

    def send(self, message: bytes, descriptors: Sequence[int]) -> bool:
        """Hand a request over; False where the worker is gone."""
        try:
            socket.send_fds(self.channel, [message], descriptors)
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)

    def let_go(self) -> None:
        """Have it end once it has done what it was given."""
        self.channel.shutdown(socket.SHUT_WR)

    def reap(self) -> int:
        """Wait for its end and return its status, negative for a signal."""
        self.channel.close()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class Crew:
    """Makes workers, at most `size` at a time, and knows which of them are idle."""

    def __init__(
        self, settings: Resize, limits: Limits, size: int, spare_s: float = SPARE_S
    ) -> None:
        self._size = size
        self._spare_s = spare_s
        self._settings = settings
        self._limits = limits
        self._members: set[Worker] = set()
        self._idle: list[Worker] = []  # the one that has been idle longest first
        self._hire_at = 0.0

    def __len__(self) -> int:
        return len(self._members)

    def hire(self) -> Worker | None:
        """Fork a worker; None where there are enough, or none can be had."""
        if len(self) >= self._size or time.monotonic() < self._hire_at:
            return None
        try:
            worker = self._fork()
        except OSError as error:
            log.error("event=no_worker reason=%r", error.strerror)
            self.pause()
            return None
        self._members.add(worker)
        return worker

    def rest(self, worker: Worker) -> None:
        """Take note that `worker` has nothing to do."""
        worker.idle_since = time.monotonic()
        self._idle.append(worker)

    def take(self) -> Worker | None:
        """Return the one that has been idle for the shortest time, and count it among the busy."""
        return self._idle.pop() if self._idle else None

    def kill_idle(self, worker: Worker) -> None:
        """End `worker` if it is idle."""
        if worker in self._idle:
            self._idle.remove(worker)
            worker.kill()

    def let_spare_go(self) -> None:
        """End those that nobody needed lately, but for the last worker."""
        before = time.monotonic() - self._spare_s
        while len(self) > 1 and self._idle and self._idle[0].idle_since <= before:
            spare = self._idle.pop(0)
            self._members.remove(spare)
            spare.let_go()

    def bury(self, worker: Worker) -> int:
        """Return the status of a worker that has ended."""
        status = worker.reap()
        self._members.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        return status

    def pause(self) -> None:
        """Hire nobody for a moment."""
        self._hire_at = time.monotonic() + HIRE_PAUSE_S

    def kill(self) -> None:
        """End all of them."""
        for worker in self._members:
            worker.kill()

    def _fork(self) -> Worker:
        for handler in logging.getLogger().handlers:
            handler.flush()  # or the worker would write it once more
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._become_worker(theirs, parent)
        theirs.close()
        return Worker(pid, ours)

    def _become_worker(self, channel: socket.socket, parent: int) -> NoReturn:
        status = 1
        try:
            _die_with(parent)
            _close_all_but(channel.fileno())
            signal.set_wakeup_fd(-1)
            # It goes to the whole group, but what is under way is finished.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._limits.apply()
            landlock.restrict(landlock.code())
            work(channel, self._settings, PICTURES + random.randint(0, MORE_PICTURES))  # noqa: S311
            status = 0
        except BaseException:
            log.exception("event=worker_failed")
        finally:
            logging.shutdown()
            os._exit(status)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when `parent` ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _close_all_but(kept: int) -> None:
    """Close what was inherited: other requests' descriptors among them."""
    os.closerange(_FIRST_DESCRIPTOR, kept)
    os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
