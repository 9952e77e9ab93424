"""Memory that a process shares with those that it forks, or gives back."""

from __future__ import annotations

import ctypes
import gc

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """Return to the kernel what is free; other C libraries than glibc do so by themselves."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def share_with_forks() -> None:
    """Keep the garbage collector away from what is here now; call it right before forking.

    A collection writes to every object that it looks at, and each page written to is copied: without this, a
    worker soon owns a second copy of all modules.
    """
    gc.collect()
    gc.freeze()
