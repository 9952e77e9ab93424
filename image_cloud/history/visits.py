"""How long downloads from each domain took, and how many failed, in the last hour.

Each process counts its own and keeps them in a file, which the others read: `FOLDER/PID.json`.  So the
numbers are there whoever asks, cost a download no more than an addition, and outlive a process for an hour.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from image_cloud.history import latencies
from image_cloud.history.latencies import Buckets
from image_cloud.process import json_file

SLICE_S, SLICES = 600.0, 6
MOST_DOMAINS = 500  # in one slice of one process: those without a visit for longest give way
WRITE_S = 2.0
MOST_BYTES = 16 << 20


@dataclasses.dataclass
class Tally:
    """The visits to one domain, by how long they took (history/latencies.py), and how many of them failed."""

    errors: int = 0
    buckets: dict[str, int] = dataclasses.field(default_factory=dict)

    def count(self, latency_s: float, failed: bool) -> None:
        """Count one visit."""
        bucket = str(latencies.bucket_of(latency_s))
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.errors += failed

    def add(self, other: Tally) -> None:
        """Add the visits of `other`."""
        self.errors += other.errors
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def visits(self) -> int:
        """Return how many there were."""
        return sum(self.buckets.values())

    def numbered(self) -> Buckets:
        """Return the buckets by number; what is none of ours is left out."""
        known = range(len(latencies.BOUNDS_S) + 1)
        return {int(b): n for b, n in self.buckets.items() if b.isdecimal() and int(b) in known}


@dataclasses.dataclass
class Slice:
    """The domains visited in SLICE_S from `start` on, seconds since 1970."""

    start: float
    domains: dict[str, Tally] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Kept:
    """What one process's file holds."""

    slices: list[Slice] = dataclasses.field(default_factory=list)


class Visits:
    """Counts the visits of this process in a file of `folder`; `clock` gives seconds since 1970.

    Nothing is opened before the first visit: pools fork after it is made.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._mutex = threading.Lock()
        self._slices: collections.deque[Slice] = collections.deque(maxlen=SLICES)
        self._pid = 0
        self._timer: threading.Timer | None = None

    def count(self, domain: str, latency_s: float, *, failed: bool) -> None:
        """Count a visit; it is in the file in WRITE_S at the latest."""
        with self._mutex:
            if self._pid != os.getpid():
                self._begin()
            domains = self._slice().domains
            tally = domains.pop(domain, None) or Tally()
            tally.count(latency_s, failed)
            domains[domain] = tally  # the last one that was visited stands last
            if len(domains) > MOST_DOMAINS:
                del domains[next(iter(domains))]
            self._write_soon()

    def _begin(self) -> None:
        """Start empty in a new process, and remove the files of those that ended long ago."""
        self._pid, self._timer = os.getpid(), None
        self._slices.clear()
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            for path in self.folder.iterdir():
                if path.lstat().st_mtime + SLICES * SLICE_S < self._clock():
                    path.unlink()

    def _slice(self) -> Slice:
        start = self._clock() // SLICE_S * SLICE_S
        if not self._slices or self._slices[-1].start != start:
            self._slices.append(Slice(start))
        return self._slices[-1]

    def _write_soon(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(WRITE_S, self._write)
            self._timer.name, self._timer.daemon = "visits", True
            self._timer.start()

    def _write(self) -> None:
        with self._mutex:
            self._timer = None
            with contextlib.suppress(OSError):  # a full disk is not the download's trouble
                json_file.write(self.folder / f"{self._pid}.json", Kept(list(self._slices)))


def read(folder: Path, now: float) -> dict[str, Tally]:
    """Return the visits of all processes in the last hour, by domain."""
    found: dict[str, Tally] = {}
    for one in _files(folder):
        kept = json_file.read(one, Kept, MOST_BYTES)
        for part in kept.slices if kept else ():
            if now - (SLICES + 1) * SLICE_S < part.start <= now:
                for domain, tally in part.domains.items():
                    found.setdefault(domain, Tally()).add(tally)
    return found


def slowest(folder: Path, now: float, most: int) -> list[dict[str, Any]]:
    """Return up to `most` domains as JSON, the slowest first by their 95th percentile."""
    rows = [_described(domain, tally) for domain, tally in read(folder, now).items()]
    return sorted(rows, key=lambda row: (-(row["p95_s"] or 0.0), row["domain"]))[:most]


def _described(domain: str, tally: Tally) -> dict[str, Any]:
    half, most = latencies.percentiles(tally.numbered(), (0.5, 0.95))
    visits = tally.visits()
    return {
        "domain": domain, "visits": visits, "errors": tally.errors, "p50_s": half, "p95_s": most,
    }  # fmt: skip


def _files(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.glob("*.json"))
    except OSError:
        return []
