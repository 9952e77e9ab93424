"""How many processors this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Return their number."""
    return len(os.sched_getaffinity(0))
