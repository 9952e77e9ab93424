"""How the node is right now: its queues, disk, memory and heartbeats."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from daemons.sampler.memory import memory_of
from daemons.sampler.waiting import waiting_in
from image_cloud.db.history import HistoryReader
from image_cloud.history.sample import Sample
from image_cloud.history.trend import DAY_S, days_left
from image_cloud.process.sockets import POOLS, socket_path
from image_cloud.process.unix_get import get_json
from image_cloud.storage.files import count_in
from image_cloud.storage.guard.guarded import Guard
from image_cloud.storage.guard.pulse import Pulse

ANSWER_S = 3.0
SELDOM_S, TREND_S = 60.0, 300
MOST_PEERS, MOST_BEATS = 16, 30
Values = dict[str, float]


def _disk(storage: Path) -> Values:
    status = os.statvfs(storage)
    return {
        "disk_bytes": status.f_blocks * status.f_frsize,
        "disk_free_bytes": status.f_bavail * status.f_frsize,
        "fetch_running": count_in(storage / "incoming"),
    }


class Gauges:
    """Looks at the node with its pictures in `storage`, and its sockets and heartbeats in `run`.

    What cannot be had is left out.  `reserve_bytes` of the disk are never used.
    """

    def __init__(
        self,
        storage: Path,
        run: Path,
        reserve_bytes: int,
        history: HistoryReader,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._guard = Guard(Pulse(storage))
        self._run = run
        self._reserve_bytes = reserve_bytes
        self._history = history
        self._clock = clock
        self._seldom: Values = {}
        self._seldom_at = float("-inf")

    def __call__(self) -> Values:
        """Return every gauge by its name."""
        if abs(self._clock() - self._seldom_at) >= SELDOM_S:
            self._seldom_at = self._clock()
            self._seldom = {**self._memory(), **self._days_left()}
        found = {**self._disk(), **self._queues(), **self._decoder(), **self._waiting()}
        return {**found, **self._beats(), **self._seldom}

    def _disk(self) -> Values:
        return self._guard.ask({}, _disk, self._storage)

    def _queues(self) -> Values:
        """Ask the control pool, which is connected to the database anyway."""
        told = get_json(socket_path(str(self._run), "control"), "/_node_status", ANSWER_S)
        values = {}
        with contextlib.suppress(LookupError, TypeError, AttributeError):
            values = dict(_queues_in(told))
        return values

    def _decoder(self) -> Values:
        told = get_json(socket_path(str(self._run), "decoder"), "/status", ANSWER_S)
        with contextlib.suppress(LookupError, TypeError):
            waiting = told["waiting"] + told["waiting_prefetch"]
            return {"decoder_running": told["running"], "decoder_waiting": waiting}
        return {}

    def _waiting(self) -> Values:
        """Return what no thread of a pool has taken yet."""
        paths = {f"{pool}_waiting": socket_path(str(self._run), pool) for pool in POOLS}
        return {name: float(waiting) for name, waiting in waiting_in(paths).items()}

    def _beats(self) -> Values:
        """Return for each pool and daemon since when one of its threads has made no step."""
        ages: Values = {}
        for name, path in self._beat_files():
            with contextlib.suppress(OSError):
                age_s = max(0.0, self._clock() - path.stat().st_mtime)
                program = f"heartbeat_age_s.{name}"
                ages[program] = round(max(ages.get(program, 0.0), age_s), 1)
        return ages

    def _beat_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the programs' names and files, a file for each thread."""
        with contextlib.suppress(OSError):
            for path in sorted((self._run / "beats").iterdir())[:MOST_BEATS]:
                yield path.name.removeprefix("image-cloud-").partition(".")[0], path

    def _memory(self) -> Values:
        with contextlib.suppress(OSError, ValueError):
            supervisord = int((self._run / "supervisord.pid").read_text())
            by_program = memory_of(supervisord)
            values = {f"memory_bytes.{name}": float(size) for name, size in by_program.items()}
            return {"memory_bytes": float(sum(by_program.values())), **values}
        return {}

    def _days_left(self) -> Values:
        now = self._clock()
        samples = self._history.samples(TREND_S, now - DAY_S, now)
        free = [(begin, Sample.unpack(facts).mean("disk_free_bytes")) for begin, facts in samples]
        left = days_left(
            [(t, value) for t, value in free if value is not None], self._reserve_bytes
        )
        return {} if left is None else {"disk_days_left": left}


def _queues_in(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield what /node_status says of the queues; nothing of what is null without the database."""
    if told["prefetch"] is not None:
        yield "prefetch_waiting", told["prefetch"]["urls"] - told["prefetch"]["under_way"]
        yield "prefetch_leased", told["prefetch"]["under_way"]
        yield "clone_backlog", told["clone_backlog"]
    for peer in told["peers"][:MOST_PEERS]:
        yield f"peer_alive.{peer['name']}", int(peer["alive"])
        if peer["backlog"] is not None:
            yield f"peer_backlog.{peer['name']}", peer["backlog"]
