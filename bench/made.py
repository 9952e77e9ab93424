"""Pictures that have to be made: rate, CPU, bytes and PSNR of each system, in a new and further sizes."""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import procs, quality
from bench.load import in_order, pull
from bench.systems import LOOP, THUMBOR, System
from tests.stack.running import CHECKOUT

SIZES = {"new": 200, "second": 320, "third": 150, "companion": 250}


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is asked for: addresses at the origin, and the same pictures as files."""

    origin: str
    files: Sequence[Path]

    def urls(self, suffix: str) -> list[str]:
        """Return addresses that nobody has asked for yet: `suffix` makes them new pictures."""
        return [f"{self.origin}/{path.name}?{suffix}" for path in self.files]


Measured = dict[str, dict[str, dict[str, float]]]


def turns(
    asked: Sequence[tuple[System, Sequence[str]]], pictures: Pictures, rounds: int, work: Path
) -> Measured:
    """Let the systems take turns, each for its sizes; return medians by system and size.

    Every round has new addresses and another order.  `of_thumbor` is the median of
    the rounds' ratios.
    """
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in range(rounds):
        for system, sizes in in_order(asked, number):
            for size in sizes:
                folder = work / f"{system.name}-{size}".replace(" ", "-")
                keep = None if number else folder
                one = _once(system, pictures.urls(f"round={number}"), SIZES[size], keep)
                seen.setdefault((system.name, size), []).append(one)
    results: Measured = {}
    for (name, size), ones in seen.items():
        folder = work / f"{name}-{size}".replace(" ", "-")
        rates, cpus = [rate for rate, _ in ones], [cpu for _, cpu in ones]
        found = {
            "per_s": statistics.median(rates),
            "cpu_ms": statistics.median(cpus),
            **quality.measure(pictures.files, folder),
        }
        if theirs := seen.get((THUMBOR, size)):
            ratios = [rate / other for rate, (other, _) in zip(rates, theirs, strict=True)]
            found["of_thumbor"] = statistics.median(ratios)
        results.setdefault(name, {})[size] = found
    return results


def _once(system: System, urls: Sequence[str], side: int, keep: Path | None) -> tuple[float, float]:
    """Ask for every picture once; return pictures a second and CPU milliseconds of each."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    before = procs.cpu_s(system.pids())
    seconds = pull([system.thumbnail(url, side) for url in urls], system.headers, keep=keep)
    cpu = procs.cpu_s(system.pids()) - before
    return len(urls) / seconds, cpu / len(urls) * 1000


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
