"""The failure memory: what failed is not tried again before its time, by anybody on the node.

One small JSON file per key and kind (`fetch`: the URL could not be had; `resize`: the original could
not be resized).  A 404 is remembered for an hour, anything else for 30 s, doubling to 10 min, with
jitter so that many broken pictures are not tried again all at once.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image_cloud.config.sections import Failures as Settings
from image_cloud.errors import (
    ImageCloudError,
    ImageTooLarge,
    OriginFailed,
    OriginNotFound,
    OriginTimeout,
    UnusableImage,
    by_code,
)
from image_cloud.picture.key import fan_out
from image_cloud.storage.files import make_dir, remove
from image_cloud.storage.folders import SHARED_DIR, SHARED_FILE

REMEMBERED = (OriginNotFound, OriginFailed, OriginTimeout, ImageTooLarge, UnusableImage)
FETCH, RESIZE = "fetch", "resize"


class Failures:
    """The failure memory of one node, on disk.

    `root` is the storage folder; `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._root = os.fspath(root)
        self._settings = settings
        self._clock = clock
        self._jitter = jitter

    def recall(self, key: str, kind: str = FETCH) -> ImageCloudError | None:
        """Return the error that stands for `key` now, with the time left, or None."""
        entry = self._read(key, kind)
        if entry is None or entry["until"] <= self._clock():
            return None
        return by_code(entry["code"])(
            entry["detail"],
            upstream_status=entry["upstream_status"],
            retry_after_s=entry["until"] - self._clock(),
        )

    def remember(self, key: str, error: ImageCloudError, kind: str = FETCH) -> None:
        """Keep `error` for its time and write that time into it; other errors pass unchanged.

        A memory that cannot be written (disk full) is no error of its own.
        """
        if not isinstance(error, REMEMBERED):
            return
        now = self._clock()
        count = self._earlier(key, kind, now) + 1
        keep_s = max(self._keep_s(error, count), error.retry_after_s or 0.0)
        error.retry_after_s = keep_s
        entry = {
            "until": now + keep_s,
            "count": count,
            "code": error.code,
            "detail": error.detail,
            "upstream_status": error.upstream_status,
        }
        try:
            self._write(key, kind, entry)
        except OSError:
            return

    def forget(self, key: str, kind: str = FETCH) -> None:
        """Drop what is remembered: it worked."""
        remove(self._path(key, kind))

    def expire(self, path: Path) -> bool:
        """Remove one memory file that has lost its meaning; say whether it was removed."""
        try:
            entry = json.loads(path.read_bytes())
            over = bool(entry["until"] + self._settings.longest_keep < self._clock())
        except (OSError, ValueError, KeyError, TypeError):
            over = True
        if over:
            path.unlink(missing_ok=True)
        return over

    def _keep_s(self, error: ImageCloudError, count: int) -> float:
        s = self._settings
        if isinstance(error, OriginNotFound):
            keep_s = s.not_found_keep
        else:
            keep_s = min(s.first_keep * 2 ** min(count - 1, 30), s.longest_keep)
        return keep_s * self._jitter(1 - s.jitter, 1 + s.jitter)

    def _earlier(self, key: str, kind: str, now: float) -> int:
        entry = self._read(key, kind)
        fresh = entry is not None and entry["until"] + self._settings.longest_keep > now
        return int(entry["count"]) if entry and fresh else 0

    def _path(self, key: str, kind: str) -> str:
        return f"{self._root}/failures/{fan_out(key)}/{key}.{kind}.json"

    def _read(self, key: str, kind: str) -> dict[str, Any] | None:
        try:
            with open(self._path(key, kind), "rb", buffering=0) as file:
                entry = json.loads(file.read())
            return entry if isinstance(entry, dict) and "until" in entry else None
        except (OSError, ValueError):
            return None

    def _write(self, key: str, kind: str, entry: dict[str, Any]) -> None:
        path = self._path(key, kind)
        make_dir(os.path.dirname(path), SHARED_DIR)
        temporary = f"{os.path.dirname(path)}/.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SHARED_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(entry, file)
        os.replace(temporary, path)
