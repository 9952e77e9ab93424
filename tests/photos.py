"""Real photographs: those of Debian's wallpaper packages, found where the packages put them."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGES = ("plasma-workspace-wallpapers", "gnome-backgrounds", "mate-backgrounds")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LEAST_BYTES = 30_000


def photographs() -> list[Path]:
    """Return the packages' photographs, each file once, the same order everywhere."""
    listed = subprocess.run(["dpkg", "-L", *PACKAGES], capture_output=True, text=True, check=True)
    paths = {Path(line).resolve() for line in listed.stdout.splitlines()}
    return sorted(
        path
        for path in paths
        if path.suffix in SUFFIXES and path.is_file() and path.stat().st_size >= LEAST_BYTES
    )
