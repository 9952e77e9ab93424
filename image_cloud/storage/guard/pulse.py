"""Whether the storage answers: a look at it now and then, in a thread that may wait for ever."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.storage.guard.trouble import gone, silent, unavailable

VALID_S = 1.0
PATIENCE_S = 1.5
"""A storage that takes longer for one look is silent."""
FOLDER = "incoming"


class Pulse:
    """The storage in `root`: `check` never waits for it.

    Looks are `VALID_S` apart while anybody asks; after `PATIENCE_S` without an answer it counts as silent
    until it gives one.  `clock` gives seconds.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._mutex = threading.Lock()
        self._began: float | None = None
        self._ended = float("-inf")
        self._error: StorageUnavailable | None = None

    def check(self) -> None:
        """Raise StorageUnavailable while the storage is silent, or is not mounted."""
        with self._mutex:
            now, began = self._clock(), self._began
            if began is None and now - self._ended > VALID_S:
                self._began = began = now
                threading.Thread(target=self._look, name="pulse", daemon=True).start()
            error = silent() if began is not None and now - began > PATIENCE_S else self._error
        if error:
            raise error

    def _look(self) -> None:
        error = look(self._root)
        with self._mutex:
            self._began, self._ended, self._error = None, self._clock(), error


def look(root: Path) -> StorageUnavailable | None:
    """Return what is wrong with the storage in `root`, as far as one look tells; it may take for ever."""
    try:
        os.statvfs(root)  # never answered out of a cache
        require_mounted(root)
    except StorageUnavailable as error:
        return error
    except FileNotFoundError:
        return gone()
    except OSError as error:
        return unavailable(error)
    return None


def require_mounted(root: Path) -> None:
    """Raise StorageUnavailable where nothing is mounted in `root`, and OSError where nobody can tell."""
    try:
        os.lstat(root / FOLDER)
    except FileNotFoundError:
        raise gone() from None
