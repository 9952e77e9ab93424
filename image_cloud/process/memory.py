"""Memory that a process shares with those that it forks."""

from __future__ import annotations

import gc


def share_with_forks() -> None:
    """Keep the garbage collector away from what is here now; call it right before forking.

    A collection writes to every object that it looks at, and each page written to is copied: without this, a
    worker soon owns a second copy of all modules.
    """
    gc.collect()
    gc.freeze()
