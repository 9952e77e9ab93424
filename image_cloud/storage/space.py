"""Whether the storage accepts more: free space above the reserve, on a writable disk."""

from __future__ import annotations

import dataclasses
import os
import secrets
import time
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.storage.guard.trouble import RETRY_AFTER_S, unavailable

FREE_SPACE_VALID_S = 1.0
FREE_MORE = 1.25  # of the reserve, so that not each picture has all variants looked at


@dataclasses.dataclass(frozen=True)
class Room:
    """Bytes and inodes: what is free, or what lacks."""

    bytes: int
    inodes: int

    def __bool__(self) -> bool:
        return self.bytes > 0 or self.inodes > 0


NONE = Room(0, 0)


class Space:
    """The space that is left below `root`; with less than the `reserve` it is full.

    Errors call it `place`.
    """

    def __init__(self, root: Path, reserve: Room = NONE, place: str = "storage") -> None:
        self._place = place
        self._root = root
        self._reserve = reserve
        self._checked = float("-inf")
        self._has_room = True

    def has_room(self) -> bool:
        """Say whether more may be stored: the reserve is free (looked up once a second)."""
        now = time.monotonic()
        if now - self._checked > FREE_SPACE_VALID_S:
            self._checked = now
            self._has_room = not self.lacking()
        return self._has_room

    def lacking(self) -> Room:
        """Return what to free where the reserve is touched: for what comes next as well."""
        status = os.statvfs(self._root)
        reserve = self._reserve
        # Some file systems make inodes as they need them, and tell of none.
        inodes = status.f_favail if status.f_files else reserve.inodes
        return Room(
            _lacking(status.f_bavail * status.f_frsize, reserve.bytes),
            _lacking(inodes, reserve.inodes),
        )

    def check_writable(self) -> None:
        """Write and remove a small file.  Raises StorageUnavailable with the reason."""
        probe = self._root / "incoming" / f".probe-{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise unavailable(error, self._place) from error
        self._checked = float("-inf")
        if not self.has_room():
            raise StorageUnavailable(f"{self._place}: full", retry_after_s=RETRY_AFTER_S)


def _lacking(free: int, reserve: int) -> int:
    return round(reserve * FREE_MORE) - free if free < reserve else 0
