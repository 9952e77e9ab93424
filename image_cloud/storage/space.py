"""Whether the storage accepts more: free space above the reserve, on a writable disk."""

from __future__ import annotations

import errno
import os
import secrets
import time
from pathlib import Path

from image_cloud.errors import StorageUnavailable

FREE_SPACE_VALID_S = 1.0
RETRY_AFTER_S = 30.0
FULL = (errno.ENOSPC, errno.EDQUOT)


class Space:
    """The space that is left below `root`; with less than `min_free_bytes` the storage is full."""

    def __init__(self, root: Path, min_free_bytes: int = 0) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes
        self._checked = float("-inf")
        self._has_room = True

    def has_room(self) -> bool:
        """Say whether more may be stored: the reserve is free (looked up once a second)."""
        now = time.monotonic()
        if now - self._checked > FREE_SPACE_VALID_S:
            self._checked = now
            status = os.statvfs(self._root)
            self._has_room = status.f_bavail * status.f_frsize >= self._min_free_bytes
        return self._has_room

    def check_writable(self) -> None:
        """Write and remove a small file.  Raises StorageUnavailable with the reason."""
        probe = self._root / "incoming" / f".probe-{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise unavailable(error) from error
        self._checked = float("-inf")
        if not self.has_room():
            raise StorageUnavailable("storage: full", retry_after_s=RETRY_AFTER_S)


def unavailable(error: OSError) -> StorageUnavailable:
    """Return what a client is told of a file that could not be written."""
    reason = "full" if error.errno in FULL else error.strerror
    return StorageUnavailable(f"storage: {reason}", retry_after_s=RETRY_AFTER_S)
