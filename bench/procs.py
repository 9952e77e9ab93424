"""Processes that the bench starts: their CPU time and memory, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60.0


@contextlib.contextmanager
def started(command: list[str], port: int, log: Path, **options: object) -> Iterator[int]:
    """Run `command` until the block ends; give its id once something listens at `port`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            **options,
        )  # type: ignore[call-overload]
    try:
        wait_for(port, process, log)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something listens at `port` of this machine."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"did not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    """Return `pid` and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid] + [one for child in children for one in family(int(child))]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time that these processes and their ended children took, seconds."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def memory_mb(pids: Iterable[int], kinds: Sequence[str] = ("Pss:",)) -> float:
    """Return what these processes hold, megabytes; by default with shared pages divided among their users."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(tuple(kinds)):
                    total += int(line.split()[1])
    return total / 1000


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))
    return 0


def status_mb(name: str) -> float:
    """Return a figure of this process's /proc/self/status (VmRSS, VmHWM), megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1000
