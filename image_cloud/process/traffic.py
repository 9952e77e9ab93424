"""Counts nginx's responses from its access log; most hits reach no other process.

`read` takes what was written since the last time and adds it up in one small file, together with the
place reached, so that nothing is counted twice and a rotated log is read to its end.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from image_cloud.process import json_file

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
MOST_CHUNKS = 256  # of one round: what is left waits for the next

FIRST_FACT = b'"file":'  # what stands before it is another's in each line
_FACTS = re.compile(
    rb'"/?(?:(variants/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}(?:\.private)?/[a-z0-9.-]{1,60})|[^"]*)"'
    rb',"status":(\d{3}),"bytes":(\d+),"seconds":[0-9.]+,"cache":"([A-Z]{0,8})"'
)


@dataclasses.dataclass
class Traffic:
    """Answers since counting began: by status, by X-Cache, and the bytes sent."""

    statuses: dict[str, int] = dataclasses.field(default_factory=dict)
    caches: dict[str, int] = dataclasses.field(default_factory=dict)
    bytes: int = 0
    inode: int = 0
    offset: int = 0


def load(path: Path) -> Traffic:
    """Return the counters in the file `path`, zeros where it is missing or broken."""
    return json_file.read(path, Traffic) or Traffic()


class TrafficReader:
    """Follows one access log; `counters` is the file that the sums are kept in.

    Goes on where `counters` says that the last reader stopped.
    """

    def __init__(self, log: Path, counters: Path) -> None:
        self._log = log
        self._counters = counters

    def read(self) -> set[str]:
        """Count what is new; return the paths below the storage of the variants that were sent."""
        traffic, used = load(self._counters), set[str]()
        for path in self._logs(traffic):
            for chunk in _whole_lines(path, traffic):
                used |= _count(traffic, chunk)
        try:
            json_file.write(self._counters, traffic)
        except OSError as error:  # the same lines are counted next time
            log.warning("event=traffic_not_written reason=%r", error.strerror)
        return used

    def _logs(self, traffic: Traffic) -> Iterator[Path]:
        """Yield the rest of a log that was rotated away meanwhile, all after it, then the log."""
        rotated = sorted(self._log.parent.glob(f"{self._log.name}.[0-9]"), reverse=True)
        paths = [path for path in (*rotated, self._log) if path.exists()]
        reached = [number for number, path in enumerate(paths) if _inode(path) == traffic.inode]
        yield from paths[reached[0] :] if reached else paths[-1:]


def _count(traffic: Traffic, chunk: bytes) -> set[str]:
    """Add up `chunk`; lines that say the same of a file are looked at once."""
    used = set()
    lines = collections.Counter(line.partition(FIRST_FACT)[2] for line in chunk.split(b"\n"))
    for line, count in lines.items():
        if facts := _FACTS.match(line):
            variant, status, size, cache = facts.groups()
            _add(traffic.statuses, status, count)
            traffic.bytes += int(size) * count
            if cache:
                _add(traffic.caches, cache, count)
            if variant:
                used.add(variant.decode())
    return used


def _add(sums: dict[str, int], name: bytes, count: int) -> None:
    sums[name.decode()] = sums.get(name.decode(), 0) + count


def _whole_lines(path: Path, traffic: Traffic) -> Iterator[bytes]:
    """Yield what `path` has beyond the place reached, cut after a line, and move the place."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_ino != traffic.inode or status.st_size < traffic.offset:
            traffic.inode, traffic.offset = status.st_ino, 0
        for _ in range(MOST_CHUNKS):
            file.seek(traffic.offset)
            chunk = file.read(CHUNK_BYTES)
            end = chunk.rfind(b"\n") + 1
            if not end:
                return
            traffic.offset += end
            yield chunk[:end]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1
