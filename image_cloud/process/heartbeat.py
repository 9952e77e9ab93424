"""A file whose time says when a process last got something done; the watchdog reads it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

EVERY_S = 1.0


def path_of(run: str, name: str) -> Path:
    """Return the file of a pool or daemon below the run folder."""
    return Path(run) / "beats" / name


def modified(path: Path) -> float | None:
    """Return when a file was marked, None where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


class Heartbeat:
    """Marks one file, at most once a second; a disk that is full must not stop the work.

    The file holds the id of the process that marked it first.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._marked = float("-inf")

    def start(self) -> None:
        """Write our process id, and mark."""
        with contextlib.suppress(OSError):
            self._path.write_text(f"{os.getpid()}\n")

    def mark(self) -> None:
        """Note that something was done now."""
        now = self._clock()
        if now - self._marked < EVERY_S:
            return
        self._marked = now
        try:
            os.utime(self._path)
        except FileNotFoundError:
            self.start()
        except OSError:
            return
