"""The failure memory: no process of the node retries a failed URL before its time.

One small JSON file per key and kind (`fetch`: the URL could not be had; `resize`: the original could
not be resized; `check`: the origin could not be asked whether it has changed).  A 404 is remembered for
an hour, anything else for 30 s, doubling to 10 min, with jitter so that many broken pictures are not
tried again all at once.

Nothing in these files is believed that no memory can hold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.config.sections import Failures as Settings
from image_cloud.errors import (
    ImageCloudError,
    ImageTooLarge,
    OriginFailed,
    OriginNotFound,
    OriginTimeout,
    RobotsRefused,
    UnusableImage,
    UrlForbidden,
    by_code,
)
from image_cloud.origin.redirects import LONGEST_WAIT_S
from image_cloud.picture.key import fan_out
from image_cloud.process import json_file
from image_cloud.process.steps import GoOn
from image_cloud.storage.files import make_dir, walk
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE

REMEMBERED = (
    OriginNotFound, OriginFailed, OriginTimeout, ImageTooLarge, UnusableImage, UrlForbidden, RobotsRefused,
)  # fmt: skip
FETCH, RESIZE, CHECK = "fetch", "resize", "check"
MOST_BYTES = 64 * 1024
LEFT_OVER_AGE_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Memory:
    """One failure: it stands `until` (seconds since 1970) and is the `count`th in a row.

    `retry_at` is when the origin wants to be asked again.
    """

    until: float
    count: int
    code: str
    detail: str
    upstream_status: int | None
    retry_at: float = 0.0


class Failures:
    """The failure memory of one node, on disk.

    `root` is the storage folder; `clock` gives seconds since 1970.  A Retry-After of an origin is told
    up to `longest_wait_s`; that it is obeyed is the business of the domain's pause, which can be lifted.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
        *,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._root = os.fspath(root)
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._longest_wait_s = longest_wait_s

    def recall(self, key: str, kind: str = FETCH) -> ImageCloudError | None:
        """Return the error that stands for `key` now, with the time left, or None."""
        memory, now = self._read(self._path(key, kind)), self._clock()
        if memory is None or memory.until <= now:
            return None
        error = by_code(memory.code)(memory.detail, upstream_status=memory.upstream_status)
        error.remembered_s = memory.until - now
        error.retry_after_s = self._retry_after_s(memory.until - now, memory.retry_at - now)
        return error

    def memory(self, key: str, kind: str = FETCH) -> Memory | None:
        """Return what is remembered of `key`, be its time over."""
        return self._read(self._path(key, kind))

    def check(self, key: str, kind: str = FETCH) -> None:
        """Raise the error that stands for `key` now."""
        if error := self.recall(key, kind):
            raise error

    def remember(self, key: str, error: ImageCloudError, kind: str = FETCH) -> None:
        """Keep `error` for its time and write that time into it; other errors pass unchanged.

        A memory that cannot be written (disk full) is no error of its own.
        """
        if not isinstance(error, REMEMBERED):
            return
        now = self._clock()
        count = self._earlier(key, kind) + 1
        keep_s = error.remembered_s = self._keep_s(error, count)
        error.retry_after_s = self._retry_after_s(keep_s, error.retry_after_s or 0.0)
        path = self._path(key, kind)
        memory = Memory(
            now + keep_s,
            count,
            error.code,
            error.detail,
            error.upstream_status,
            now + error.retry_after_s,
        )
        with contextlib.suppress(OSError):
            make_dir(os.path.dirname(path), PRIVATE_DIR)
            json_file.write(path, memory, mode=PRIVATE_FILE)

    def forget(self, key: str, kind: str = FETCH) -> None:
        """Drop what is remembered: it worked."""
        with contextlib.suppress(OSError):  # there is none, or something else stands in its place
            os.unlink(self._path(key, kind))

    def expire(self, go_on: GoOn = lambda: True) -> None:
        """Remove the memories that have lost their meaning, and whatever else lies between them."""
        for _, path in walk(f"{self._root}/failures", depth=2):
            if not go_on():
                return
            if self._is_over(path):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _is_over(self, path: str) -> bool:
        if path.endswith(".json"):
            memory = self._read(path)
            return memory is None or not self._is_fresh(memory)
        with contextlib.suppress(OSError):
            return os.lstat(path).st_mtime + LEFT_OVER_AGE_S < self._clock()
        return False

    def _is_fresh(self, memory: Memory) -> bool:
        return memory.until + self._settings.longest_keep > self._clock()

    def _keep_s(self, error: ImageCloudError, count: int) -> float:
        s = self._settings
        if isinstance(error, OriginNotFound):
            keep_s = s.not_found_keep
        else:
            keep_s = min(s.first_keep * 2 ** min(count - 1, 30), s.longest_keep)
        return keep_s * self._jitter(1 - s.jitter, 1 + s.jitter)

    def _retry_after_s(self, keep_s: float, asked_s: float) -> float:
        return max(keep_s, min(asked_s, self._longest_wait_s))

    def _earlier(self, key: str, kind: str) -> int:
        memory = self._read(self._path(key, kind))
        return memory.count if memory and self._is_fresh(memory) else 0

    def _path(self, key: str, kind: str) -> str:
        return f"{self._root}/failures/{fan_out(key)}/{key}.{kind}.json"

    def _read(self, path: str) -> Memory | None:
        """Return what the file holds if it can be a memory of ours."""
        memory = json_file.read(path, Memory, MOST_BYTES)
        if memory and issubclass(by_code(memory.code), REMEMBERED):
            return memory if memory.until <= self._clock() + self._most_keep_s() else None
        return None

    def _most_keep_s(self) -> float:
        s = self._settings
        return max(s.not_found_keep, s.longest_keep) * (1 + s.jitter)
