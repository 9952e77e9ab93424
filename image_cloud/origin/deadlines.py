"""Deadlines that hold: a thread that shuts the socket of a download whose time is up.

A socket's timeout bounds each wait, not their sum, so an origin that sends a byte now and then
would hold a download for ever.  One thread per process, started when it is first needed, watches
all downloads.
"""

from __future__ import annotations

import os
import socket
import threading
import time

from image_cloud.errors import OriginTimeout
from image_cloud.process.sockets import shut


class Deadline:
    """When one download must be over, and the socket that it waits on.

    Its clock starts when it is made.
    """

    def __init__(self, total_timeout_s: float) -> None:
        self.at_s = time.monotonic() + total_timeout_s
        self.passed = False
        self._total_timeout_s = total_timeout_s
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def left_s(self) -> float:
        """Return the seconds left; raise OriginTimeout when there are none."""
        left_s = self.at_s - time.monotonic()
        if left_s <= 0 or self.passed:
            raise self.error()
        return left_s

    def error(self) -> OriginTimeout:
        """Return the error of a download that took too long."""
        return OriginTimeout(f"the origin took longer than {self._total_timeout_s:g} s")

    def hold(self, sock: socket.socket | None) -> None:
        """Take over `sock`, which is shut when the time is up; None lets go of the last one."""
        with self._lock:
            self._socket = sock
            if self.passed and sock is not None:
                shut(sock)

    def expire(self) -> None:
        """Shut the socket, and say so in `passed`, which is to be looked at after every read."""
        with self._lock:
            self.passed = True
            if self._socket is not None:
                shut(self._socket)


class Deadlines:
    """The thread, and the deadlines that it looks after.

    The thread starts with the first deadline.
    """

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at_s = 0.0

    def add(self, deadline: Deadline) -> None:
        """Watch `deadline` until it is discarded."""
        with self._changed:
            self._watched.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="origin-deadlines", daemon=True
                )
                self._thread.start()
            elif deadline.at_s < self._wakes_at_s:
                self._changed.notify()

    def discard(self, deadline: Deadline) -> None:
        """Forget `deadline`: its download is over."""
        with self._changed:
            self._watched.discard(deadline)

    def _run(self) -> None:
        while True:
            for deadline in self._await_due():
                deadline.expire()

    def _await_due(self) -> list[Deadline]:
        """Sleep until the earliest deadline or an earlier new one; return those that are over."""
        with self._changed:
            self._wakes_at_s = min((d.at_s for d in self._watched), default=float("inf"))
            pause_s = self._wakes_at_s - time.monotonic()
            if pause_s > 0:
                self._changed.wait(min(pause_s, threading.TIMEOUT_MAX))
            now_s = time.monotonic()
            due = [deadline for deadline in self._watched if deadline.at_s <= now_s]
            self._watched.difference_update(due)
            return due


_deadlines = Deadlines()


def deadlines() -> Deadlines:
    """Return those of this process."""
    return _deadlines


def _forget_after_fork() -> None:
    """Threads do not survive a fork: the child gets deadlines of its own."""
    global _deadlines
    _deadlines = Deadlines()


os.register_at_fork(after_in_child=_forget_after_fork)
