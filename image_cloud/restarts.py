"""Variants that a crash of the machine may have damaged: those made shortly before it.

Variants are renamed into place without waiting for the disk, as they can always be made again: a process
that dies damages none, but a machine that goes down may leave the last ones empty or cut short.  A small
file says in which boot the janitor last ran, and its time when.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNSAFE_S = 120.0
"""How long before the janitor's last sign of life variants count as unsafe.

Linux writes what is 30 s old every 5 s, journals commit every 5 s, and the sign itself may be as old.
"""


class Restarts:
    """Notices that the machine was started again, and removes what may be damaged."""

    def __init__(self, root: Path, node: str, boot_id: str = "") -> None:
        """Look after the storage `root`; several nodes may share it."""
        self._root = root
        self._sign = root / "cluster" / f"{node}.boot"
        self._boot_id = boot_id or BOOT_ID.read_text().strip()

    def step(self) -> int:
        """Give a sign of life; after a restart remove unsafe variants first, and count them."""
        last_boot, last_s = self._last()
        removed = 0
        if last_boot and last_boot != self._boot_id:
            removed = sum(map(_removed, self._made_since(last_s - UNSAFE_S)))
            log.info("event=machine_restarted variants_removed=%d", removed)
        if last_boot != self._boot_id:
            self._sign.write_text(self._boot_id)
        os.utime(self._sign)
        return removed

    def _last(self) -> tuple[str, float]:
        try:
            return self._sign.read_text().strip(), self._sign.stat().st_mtime
        except FileNotFoundError:
            return "", 0.0

    def _made_since(self, since_s: float) -> Iterator[Path]:
        """Yield variants made later than `since_s`; a new file changes its folder's time, too."""
        for folder in (self._root / "variants").glob("??/??/*"):
            if folder.stat().st_mtime >= since_s:
                yield from (path for path in folder.iterdir() if path.stat().st_mtime >= since_s)


def _removed(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True
