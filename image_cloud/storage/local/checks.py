"""When the origin was last seen to have a picture: the time of an empty file, `checked/ab/cd/<key>`.

Never that of a file that nginx sends: its time is Last-Modified.  nginx looks at this one, too
(nginx/lua/hot_path.lua).
A time of whole seconds is that of the store; any other is that of a check.

    checked/ab/cd/<key>.gone.json       {"count", "since", "status"}: the origin says that there is none
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

from image_cloud.picture.key import fan_out
from image_cloud.process import json_file
from image_cloud.storage.files import touch, unlink, with_folder
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE

NANOSECONDS = 10**9


@dataclasses.dataclass(frozen=True)
class Seen:
    """When the picture was last seen at its origin, seconds since 1970; `by_check`, or when it was stored."""

    at: float
    by_check: bool

    def is_over(self, max_age_s: float, least_age_s: float, now: float) -> bool:
        """Say whether it was longer ago than `max_age_s`; checks are `least_age_s` apart, whatever that is.

        nginx decides alike (nginx/lua/hot_path.lua).
        """
        age_s = now - self.at
        return age_s > max_age_s and (not self.by_check or age_s >= least_age_s)


@dataclasses.dataclass(frozen=True)
class Gone:
    """How often in a row the origin said so, since when (seconds since 1970), and with which status."""

    count: int
    since: float
    status: int | None = None


class Checks:
    """The files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> Seen | None:
        """Return when the picture of `key` was last seen; None where no file tells."""
        try:
            status = os.lstat(self._path(key))
        except OSError:
            return None
        return Seen(status.st_mtime, bool(status.st_mtime_ns % NANOSECONDS))

    def mark(self, key: str, at: float) -> None:
        """Note a check at that time, seconds since 1970; never one in the future.  A full disk costs it."""
        ns = int(min(at, time.time()) * NANOSECONDS)
        self._mark(key, ns if ns % NANOSECONDS else ns + 1)

    def mark_store(self, key: str, stored_at: float) -> None:
        """Note that there was no check since the store: who looks next needs no record for that."""
        self._mark(key, int(min(stored_at, time.time())) * NANOSECONDS)

    def forget(self, key: str) -> None:
        """Remove what is known: the picture is another one, or gone."""
        unlink(self._path(key))

    def gone(self, key: str) -> Gone | None:
        """Return how often in a row the origin said that there is no picture."""
        return json_file.read(self._gone(key), Gone)

    def count_gone(self, key: str, status: int | None, now: float) -> Gone:
        """Count one more time that the origin said so."""
        before = self.gone(key) or Gone(0, now)
        after = Gone(before.count + 1, before.since, status)
        with contextlib.suppress(OSError):
            with_folder(
                lambda path: json_file.write(path, after, mode=PRIVATE_FILE),
                self._gone(key),
                PRIVATE_DIR,
            )
        return after

    def forget_gone(self, key: str) -> None:
        """Begin to count anew."""
        unlink(self._gone(key))

    def _mark(self, key: str, ns: int) -> None:
        with contextlib.suppress(OSError):
            with_folder(lambda path: touch(path, PRIVATE_FILE, ns), self._path(key), PRIVATE_DIR)

    def _path(self, key: str) -> str:
        return f"{self._root}/checked/{fan_out(key)}/{key}"

    def _gone(self, key: str) -> str:
        return f"{self._path(key)}.gone.json"
