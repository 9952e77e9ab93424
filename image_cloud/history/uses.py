"""Tells the janitor which variants nginx sent: most hits reach no other process.

The sampler reads the access log and adds; the janitor, who evicts what is not used, takes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

NOTED_FOR_S = 60  # evictions go by the minute
MOST_BYTES = 16 << 20  # while nobody takes; what is more is forgotten
FILE_MODE = 0o600


class Uses:
    """A file of paths below the storage, one a line; one process adds, one takes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._taken = path.with_name(f"{path.name}.taken")
        self._clock = clock
        self._noted: set[str] = set()
        self._noted_since = clock()

    def add(self, variants: Iterable[str]) -> None:
        """Note these, each once a minute.  Raises OSError."""
        if self._clock() - self._noted_since >= NOTED_FOR_S:
            self._noted, self._noted_since = set(), self._clock()
        new = set(variants) - self._noted
        if not new:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, FILE_MODE), "w", encoding="ascii") as file:
            if os.fstat(file.fileno()).st_size < MOST_BYTES:
                file.writelines(f"{one}\n" for one in new)
        self._noted |= new

    def take(self) -> set[str]:
        """Return what was noted since the last time.  Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(self._taken)
            text = self._taken.read_text(encoding="ascii", errors="replace")
            self._taken.unlink()
            return set(text.splitlines())
        return set()
