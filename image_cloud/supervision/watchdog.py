"""Finds programs that hang: supervisord's event listener `image-cloud-watchdog`, every 5 s.  Counts restarts.

It runs without rights: supervisord itself ends what it names (hung_programs.py), and starts it again.

- A pool is asked for /health through its socket.  It is hung when it neither answered nor finished any
  request for as long as its longest request may take: a pool that is merely busy finishes some.
- A daemon's threads mark a file each, at every step and within long ones.  It is hung when it is stopped
  (SIGSTOP) or a step of one of its threads takes too long.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.config import Config, config_from_environment
from image_cloud.metrics import client
from image_cloud.metrics.definitions import RESTARTS, WATCHDOG_KILLS
from image_cloud.process.heartbeat import holder, modified, path_of, threads_of
from image_cloud.process.logs import set_up_logging
from image_cloud.process.sockets import SERVERS, socket_path
from image_cloud.supervision.listener import answer, events

log = logging.getLogger(__name__)

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ANSWER_S = 1.0
SPARE_S = 10.0
LEAST_LOOKS = 3  # in a row: after a pause of the whole machine everything looks old once
LEAST_PAUSE_S = 2.5  # ticks that waited, while this machine or we stood still, are one
STARTING, ENDED = "PROCESS_STATE_STARTING", ("EXITED", "BACKOFF")
OURS = "image-cloud-"
STOPPED_S = 10.0  # a daemon found stopped for so long
DAEMONS = (
    "image-cloud-janitor", "image-cloud-peer-clone", "image-cloud-prefetch", "image-cloud-sampler",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Hung:
    """A program that cannot serve: why, and for how many seconds it must have run to be ended."""

    name: str
    limit_s: float
    reason: str


class Probe:
    """One question to a pool; it stays open until it is answered, so that a full queue answers, too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sock: socket.socket | None = None

    def answered(self) -> bool:
        """Ask, unless a question is open, and say whether there is an answer by now."""
        try:
            if self._sock is None:
                self._sock = socket.socket(socket.AF_UNIX)
                self._sock.setblocking(False)
                self._sock.connect(self._path)
                self._sock.sendall(REQUEST)
            if not select.select([self._sock], [], [], ANSWER_S)[0]:
                return False
            answer = self._sock.recv(100)
        except OSError:
            answer = b""
        self.forget()
        return answer.startswith(b"HTTP/1.1 200")

    def forget(self) -> None:
        """Close what is open."""
        if self._sock:
            self._sock.close()
        self._sock = None


class PoolWatch:
    """Whether one pool serves.

    `answered` asks the pool; `beat` is marked at each request that it finishes.
    """

    def __init__(
        self,
        pool: str,
        limit_s: float,
        answered: Callable[[], bool],
        beat: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = f"image-cloud-{pool}"
        self._limit_s = limit_s
        self._answered = answered
        self._beat = beat
        self._clock = clock
        self._good = clock()
        self._bad_looks = 0

    def look(self) -> Hung | None:
        """Return what is wrong."""
        now = self._clock()
        if self._answered():
            self._good, self._bad_looks = self._clock(), 0
            return None
        self._bad_looks += 1
        silent_s = now - max(self._good, modified(self._beat) or 0.0)
        if silent_s <= self._limit_s or self._bad_looks < LEAST_LOOKS:
            return None
        self._good, self._bad_looks = now, 0
        reason = f"no answer and no request finished for {silent_s:.0f} s"
        return Hung(self._name, self._limit_s, reason)


class DaemonWatch:
    """Whether one daemon makes progress; `run` is the folder with the heartbeats of its threads."""

    def __init__(
        self, name: str, limit_s: float, run: str | Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._limit_s = limit_s
        self._run = run
        self._clock = clock
        self._stopped: float | None = None
        self._bad_looks: collections.Counter[str] = collections.Counter()

    def look(self) -> Hung | None:
        """Return what is wrong."""
        if self._is_stopped_for_long():
            return Hung(self._name, STOPPED_S, "its process is stopped")
        late = self._late_threads()
        self._bad_looks = collections.Counter({name: self._bad_looks[name] + 1 for name in late})
        hung = {
            name: late_s for name, late_s in late.items() if self._bad_looks[name] >= LEAST_LOOKS
        }
        if not hung:
            return None
        threads = ", ".join(sorted(hung))
        reason = f"one step has taken {max(hung.values()):.0f} s (thread {threads})"
        return Hung(self._name, self._limit_s, reason)

    def _is_stopped_for_long(self) -> bool:
        holders = {holder(beat) for beat in self._beats().values()} - {None}
        if not any(is_stopped(pid) for pid in holders):
            self._stopped = None
            return False
        self._stopped = self._clock() if self._stopped is None else self._stopped
        return self._clock() - self._stopped >= STOPPED_S

    def _late_threads(self) -> dict[str, float]:
        """Return for how long each thread has been at a step, of those that are at it for too long."""
        marks = {thread: modified(beat) for thread, beat in self._beats().items()}
        taken = {thread: self._clock() - mark for thread, mark in marks.items() if mark is not None}
        return {thread: taken_s for thread, taken_s in taken.items() if taken_s > self._limit_s}

    def _beats(self) -> dict[str, Path]:
        """Return the heartbeats of all threads of all its processes."""
        return {"main": path_of(self._run, self._name), **threads_of(self._run, self._name)}


def is_stopped(pid: int | None) -> bool:
    """Say whether a process is stopped by a signal."""
    with contextlib.suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"
    return False


def limits(config: Config) -> dict[str, float]:
    """Return for each pool the longest that it may be without an answer and a finished request."""
    least, resize = config.watchdog.unanswered, config.resize
    fetch_s = config.download.total_timeout + config.politeness.slot_wait + resize.decode_timeout
    longest = {
        "front": 0.0,
        "fetch": fetch_s + SPARE_S,
        "control": config.prefetch.body_wait + config.database.statement_timeout + SPARE_S,
        "decoder": 0.0,  # its parent never decodes
    }
    return {pool: max(least, longest[pool]) for pool in SERVERS}


def longest_step_s(config: Config) -> float:
    """Return the longest that a daemon's thread may be at one step without a mark."""
    cluster, resize = config.cluster, config.resize
    download_s = config.politeness.slot_wait + config.download.total_timeout + resize.decode_timeout
    poll_s = cluster.connect_timeout + cluster.poll + cluster.read_timeout
    return max(config.watchdog.longest_step, download_s + SPARE_S, poll_s + SPARE_S)


def watches(config: Config) -> list[PoolWatch | DaemonWatch]:
    """Return one watch for each pool and daemon."""
    run = config.node.run
    pools = [
        PoolWatch(pool, limit_s, Probe(socket_path(run, pool)).answered, path_of(run, pool))
        for pool, limit_s in limits(config).items()
    ]
    step_s = longest_step_s(config)
    return [*pools, *(DaemonWatch(name, step_s, run) for name in DAEMONS)]


def main() -> None:
    """Serve supervisord's events until it ends us; stdout belongs to its protocol."""
    config = config_from_environment()
    set_up_logging(config.node.log_level, config.node.log_format)
    client.count_below(config.node.run)
    watched = watches(config)
    looked = float("-inf")
    for event in events(sys.stdin, sys.stdout):
        words = ""
        if event["eventname"] == STARTING:
            _count_restart(event)
        elif time.monotonic() - looked > LEAST_PAUSE_S:
            words = _look(watched)
            looked = time.monotonic()
        answer(sys.stdout, words or "OK")


def _look(watched: list[PoolWatch | DaemonWatch]) -> str:
    """Return the hung programs in words for supervisord's end."""
    hung = [found for watch in watched if (found := watch.look())]
    for one in hung:
        log.error("event=hung program=%s reason=%r", one.name, one.reason)
        WATCHDOG_KILLS.add(one.name.removeprefix(OURS))
    return " ".join(f"{one.name}={one.limit_s:.0f}" for one in hung)


def _count_restart(event: dict[str, str]) -> None:
    """Count a start that nobody asked for."""
    if event["from_state"] in ENDED:
        RESTARTS.add(event["processname"].removeprefix(OURS))


if __name__ == "__main__":
    os.umask(0o077)
    main()
