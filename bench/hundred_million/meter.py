"""CPU time of what is measured: on a shared machine, time that passes tells of the others."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, OWN, REAPED = 1, slice(11, 13), slice(13, 15)  # fields of /proc/PID/stat behind the name


class Meter:
    """Measures work in seconds of CPU: this process's, its children's and those of the server at `dsn`."""

    def __init__(self, dsn: str) -> None:
        connection = psycopg2.connect(dsn)
        self._server = int(_fields(connection.info.backend_pid)[PARENT])
        connection.close()

    def __call__(self, work: Callable[[], object]) -> float:
        """Do `work`; return how much CPU it took."""
        before = self._now()
        work()
        return self._now() - before

    def _now(self) -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        server = _ticks(_fields(self._server), OWN, REAPED)
        task = Path(f"/proc/{self._server}/task/{self._server}/children")
        server += sum(_ticks(_fields(pid), OWN) for pid in map(int, task.read_text().split()))
        return time.process_time() + children.ru_utime + children.ru_stime + server / TICKS


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:  # it has ended, and counts with the server
        return ["0"] * 15


def _ticks(fields: list[str], *parts: slice) -> int:
    return sum(int(field) for part in parts for field in fields[part])
