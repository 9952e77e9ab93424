"""Finds programs that hang: supervisord's event listener `image-cloud-watchdog`, every 5 s.

It runs without rights: supervisord itself ends what it names (hung_programs.py), and starts it again.

- A pool is asked for /health through its socket.  It is hung when it neither answered nor finished any
  request for as long as its longest request may take: a pool that is merely busy finishes some.
- A daemon marks a file at every step.  It is hung when it is stopped (SIGSTOP) or its step takes too long.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from supervisor.childutils import listener

from image_cloud.config import Config, config_from_environment
from image_cloud.process.heartbeat import modified, path_of
from image_cloud.process.sockets import POOLS, socket_path

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ANSWER_S = 1.0
SPARE_S = 10.0
LEAST_LOOKS = 3  # in a row: after a pause of the whole machine everything looks old once
STOPPED_S = 10.0  # a daemon found stopped for so long
DAEMONS = ("image-cloud-janitor", "image-cloud-peer-clone", "image-cloud-prefetch")


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
    """Whether one daemon makes progress.

    `beat` is marked at each step.
    """

    def __init__(
        self, name: str, limit_s: float, beat: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._limit_s = limit_s
        self._beat = beat
        self._clock = clock
        self._stopped: float | None = None
        self._bad_looks = 0

    def look(self) -> Hung | None:
        """Return what is wrong."""
        now, marked = self._clock(), modified(self._beat)
        if not is_stopped(self._beat):
            self._stopped = None
        elif self._stopped is None:
            self._stopped = now
        elif now - self._stopped >= STOPPED_S:
            return Hung(self._name, STOPPED_S, "its process is stopped")
        late = marked is not None and now - marked > self._limit_s
        self._bad_looks = self._bad_looks + 1 if late else 0
        if marked is not None and self._bad_looks >= LEAST_LOOKS:
            return Hung(self._name, self._limit_s, f"one step has taken {now - marked:.0f} s")
        return None


def is_stopped(beat: Path) -> bool:
    """Say whether the process that a heartbeat's file names is stopped by a signal."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{int(beat.read_text())}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"
    return False


def limits(config: Config) -> dict[str, float]:
    """Return for each pool the longest that it may be without an answer and a finished request."""
    least, resize = config.watchdog.unanswered, config.resize
    fetch_s = config.download.total_timeout + config.politeness.slot_wait + resize.decode_timeout
    longest = {
        "front": 0.0,
        "fetch": fetch_s + SPARE_S,
        "intake": config.prefetch.body_wait + config.database.statement_timeout + SPARE_S,
        "resize": resize.decode_timeout + SPARE_S,
    }
    return {pool: max(least, longest[pool]) for pool in POOLS}


def watches(config: Config) -> list[PoolWatch | DaemonWatch]:
    """Return one watch for each pool and daemon."""
    run = config.node.run
    pools = [
        PoolWatch(pool, limit_s, Probe(socket_path(run, pool)).answered, path_of(run, pool))
        for pool, limit_s in limits(config).items()
    ]
    step_s = config.watchdog.longest_step
    return [*pools, *(DaemonWatch(name, step_s, path_of(run, name)) for name in DAEMONS)]


def main() -> None:
    """Serve supervisord's events until it ends us; stdout belongs to its protocol."""
    config = config_from_environment()
    watched = watches(config)
    while True:
        listener.wait(sys.stdin, sys.stdout)
        hung = [found for watch in watched if (found := watch.look())]
        for one in hung:
            print(f"event=hung program={one.name} reason={one.reason!r}", file=sys.stderr)
        words = " ".join(f"{one.name}={one.limit_s:.0f}" for one in hung)
        listener.send(words or "OK", sys.stdout)


if __name__ == "__main__":
    os.umask(0o077)
    main()
