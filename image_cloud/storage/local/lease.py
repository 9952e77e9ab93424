"""Whether the variants on this node's own disk may be believed: the time of an empty file, `.followed`.

Other nodes delete and replace the originals they were made from.  The cloning daemon drops what they changed
(daemons/peer_clone/changes_elsewhere.py), and each time that it has seen all changes it renews the lease.
nginx looks at the file, too (nginx/lua/hot_path.lua).  Without a lease each variant is compared with its
original first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.picture.headers.entity_tag import NANOSECONDS
from image_cloud.storage.files import touch
from image_cloud.storage.folders import PRIVATE_FILE

LASTS_S = 1.0
"""So late may a deleted or replaced picture be sent at most."""
NAME = ".followed"


class Lease:
    """The lease of the variants below `root`; `clock` gives seconds since 1970."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = f"{root}/{NAME}"
        self._clock = clock

    def holds(self) -> bool:
        """Say whether all changes of the last LASTS_S are known."""
        try:
            left_s = os.lstat(self._path).st_mtime + LASTS_S - self._clock()
        except OSError:
            return False
        return 0 < left_s <= LASTS_S + 1  # the clock may have been set back

    def renew(self, seen_at: float) -> None:
        """Note that all changes up to that time are known.  Raises OSError."""
        touch(self._path, PRIVATE_FILE, int(seen_at * NANOSECONDS))

    def end(self) -> None:
        """Have nobody believe the variants until it is renewed.  Raises OSError."""
        self.renew(0.0)
