"""The last lines that the programs' logs have about one picture, whatever their format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 4 << 20  # of each program: some hours of a busy node
MOST_LINES = 10
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+")


def lines_about(folder: Path, key: str) -> list[str]:
    """Return up to MOST_LINES lines that name `key`, the newest last; logs that do not read are left out."""
    found = [
        line
        for path in folder.glob("image-cloud-*.log")
        for line in _lines(_end(path), key.encode())
    ]
    return sorted(found, key=_time)[-MOST_LINES:]


def _end(path: Path) -> bytes:
    """Return the end of a log; after a rotation most of it is in the file before."""
    end = _tail(path, MOST_BYTES)
    return _tail(path.with_name(f"{path.name}.1"), MOST_BYTES - len(end)) + end


def _tail(path: Path, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            return file.read(most)
    except OSError:
        return b""


def _lines(text: bytes, wanted: bytes) -> Iterator[str]:
    place = text.find(wanted)
    while place >= 0:
        first, last = text.rfind(b"\n", 0, place) + 1, text.find(b"\n", place)
        yield text[first : last if last >= 0 else None].decode(errors="replace")
        place = text.find(wanted, last) if last >= 0 else -1


def _time(line: str) -> str:
    found = _TIME.search(line)
    return found[0] if found else ""
