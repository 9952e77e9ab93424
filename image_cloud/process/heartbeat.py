"""Files whose modification time tells when a process or thread last made progress.

`run/beats/<pool or daemon>` is the process's own, `run/beats/<daemon>.<thread>` that of a further thread.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

EVERY_S = 1.0


def path_of(run: str | Path, program: str, thread: str = "") -> Path:
    """Return the file of a pool or daemon below the run folder, or of one of its threads."""
    return Path(run) / "beats" / (f"{program}.{thread}" if thread else program)


def threads_of(run: str | Path, program: str) -> dict[str, Path]:
    """Return the files of a daemon's further threads, by their names."""
    prefix = f"{program}."
    with contextlib.suppress(OSError), os.scandir(Path(run) / "beats") as entries:
        return {
            e.name.removeprefix(prefix): Path(e.path) for e in entries if e.name.startswith(prefix)
        }
    return {}


def forget_threads(run: str | Path, program: str) -> None:
    """Remove the files of the threads that an earlier process of this daemon had."""
    for path in threads_of(run, program).values():
        path.unlink(missing_ok=True)


def forget_process(run: str | Path, program: str, number: int) -> None:
    """Remove the files of one further process of a daemon."""
    path_of(run, program, str(number)).unlink(missing_ok=True)
    forget_threads(run, f"{program}.{number}")


def modified(path: Path) -> float | None:
    """Return when a file was marked, None where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def holder(path: Path) -> int | None:
    """Return the id of the process that a file belongs to, None where it names none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


class Heartbeat:
    """Marks one file, at most once a second; a disk that is full must not stop the work."""

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

    def end(self) -> None:
        """Remove the file: nothing is left to watch."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
