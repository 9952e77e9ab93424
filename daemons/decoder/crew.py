"""The workers: forked from the parent, limited, and forked again when they end."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import os
import random
import resource
import signal
import socket
from collections.abc import Sequence
from typing import NoReturn

from daemons.decoder import landlock
from daemons.decoder.worker import work
from image_cloud.config.sections import Resize

log = logging.getLogger(__name__)

PICTURES, MORE_PICTURES = 2000, 500
"""A worker ends after so many pictures, and up to so many more: memory that libraries lose comes back."""
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

    def reap(self) -> int:
        """Wait for its end and return its status, negative for a signal."""
        self.channel.close()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class Crew:
    """Makes workers, `size` at a time."""

    def __init__(self, settings: Resize, limits: Limits, size: int) -> None:
        self.size = size
        self._settings = settings
        self._limits = limits

    def hire(self) -> Worker:
        """Fork a worker.  Raises OSError."""
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
