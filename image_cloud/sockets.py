"""Where the pools listen: one unix socket each below the run folder."""

from __future__ import annotations

POOLS = ("front", "fetch", "resize")


def socket_path(run: str, pool: str) -> str:
    """Return the pool's socket; the resize sandbox has a folder of its own, the only one it may write."""
    return f"{run}/sandbox/resize.sock" if pool == "resize" else f"{run}/{pool}.sock"
