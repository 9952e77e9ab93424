"""The last lines that the programs' logs have about one picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 4 << 20  # of each log: some hours of a busy node
MOST_LINES = 10


def lines_about(folder: Path, key: str) -> list[str]:
    """Return up to MOST_LINES lines that name `key`, the newest last; logs that do not read are left out."""
    found = [
        line for path in sorted(folder.glob("image-cloud-*.log")) for line in _lines(path, key)
    ]
    return sorted(found)[-MOST_LINES:]  # each begins with its time


def _lines(path: Path, key: str) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            end = file.read(MOST_BYTES)
    except OSError:
        return
    wanted = f"key={key}".encode()
    place = end.find(wanted)
    while place >= 0:
        first, last = end.rfind(b"\n", 0, place) + 1, end.find(b"\n", place)
        yield end[first : last if last >= 0 else None].decode(errors="replace")
        place = end.find(wanted, last) if last >= 0 else -1
