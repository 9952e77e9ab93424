"""Where the pools listen: one unix socket each below the run folder."""

from __future__ import annotations

FOLDERS = {"front": "pools", "fetch": "pools", "intake": "pools", "resize": "sandbox"}
POOLS = tuple(FOLDERS)


def socket_path(run: str, pool: str) -> str:
    """Return the pool's socket; the sandbox has a folder of its own, as it is another user."""
    return f"{run}/{FOLDERS[pool]}/{pool}.sock"
