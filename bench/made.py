"""Pictures that have to be made: rate, CPU, bytes and PSNR of each system, in a new and further sizes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import procs, quality
from bench.load import pull
from bench.systems import LOOP, System
from tests.stack.running import CHECKOUT

SIZES = {"new": 200, "second": 320, "third": 150, "companion": 250}


def measure(
    system: System, urls: Sequence[str], originals: Sequence[Path], work: Path, sizes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Ask `system` for every picture in each of `sizes`, one size after the other."""
    results = {}
    for name in sizes:
        folder = work / f"{system.name}-{name}".replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        before = procs.cpu_s(system.pids())
        seconds = pull(
            [system.thumbnail(url, SIZES[name]) for url in urls], system.headers, keep=folder
        )
        cpu = procs.cpu_s(system.pids()) - before
        results[name] = {
            "per_s": len(urls) / seconds,
            "cpu_ms": cpu / len(urls) * 1000,
            **quality.measure(originals, folder),
        }
    return results


def loop(originals: Sequence[Path], side: int) -> dict[str, float]:
    """Let two processes of raw PIL share the pictures."""
    began, before = time.monotonic(), procs.cpu_s([os.getpid()])
    running = []
    for half in (originals[::2], originals[1::2]):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.loop", str(side)], cwd=CHECKOUT, stdin=subprocess.PIPE
        )
        assert process.stdin
        process.stdin.write("\n".join(map(str, half)).encode())
        process.stdin.close()
        running.append(process)
    for process in running:
        if process.wait():
            raise RuntimeError(f"{LOOP} failed")
    cpu = procs.cpu_s([os.getpid()]) - before
    return {
        "per_s": len(originals) / (time.monotonic() - began),
        "cpu_ms": cpu / len(originals) * 1000,
    }


def hops(stack_pids: dict[str, list[int]], work: Callable[[], object]) -> dict[str, float]:
    """Return the CPU seconds that each pool takes while `work` runs."""
    before = {name: procs.cpu_s(pids) for name, pids in stack_pids.items()}
    work()
    return {name: procs.cpu_s(pids) - before[name] for name, pids in stack_pids.items()}
