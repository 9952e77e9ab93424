"""A file that people or other programs change while processes go on reading it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
RECHECK_S = 1.0


class Reread(Generic[T]):
    """What `read` makes of the file at `path`, read again when it has changed; for any number of threads.

    `read` raises OSError or ValueError for a file that is not to be taken: then what was read last stays, or
    `first` where nothing was yet.  It decides what a missing file means.  `name` is for the log.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        first: T,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._read = read
        self._name = name
        self._clock = clock
        self._mutex = threading.Lock()
        self._value = first
        self._checked = float("-inf")
        self._seen: object = None
        self._complaint = ""

    def current(self, max_age_s: float = RECHECK_S) -> T:
        """Return what the file holds, as of at most `max_age_s` ago."""
        with self._mutex:
            now = self._clock()
            if now - self._checked >= max_age_s:
                self._checked = now
                self._look()
            return self._value

    def _look(self) -> None:
        seen = _version(self._path)
        if seen == self._seen:
            return
        try:
            self._value = self._read(self._path)
            self._seen, self._complaint = seen, ""
        except ValueError as error:
            self._seen = seen  # it stays refused until it changes
            self._complain(str(error))
        except OSError as error:  # it may be over at the next look
            if str(error) != self._complaint:
                self._complain(str(error))

    def _complain(self, reason: str) -> None:
        self._complaint = reason
        log.error("event=%s_refused file=%s reason=%r", self._name, self._path.name, reason)


def _version(path: Path) -> object:
    """Return a value that differs after each change of the file."""
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
