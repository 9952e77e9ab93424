"""Pictures that have to be made: rate, CPU, bytes and PSNR of each system, in a new and further sizes."""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bench import procs, quality
from bench.load import in_order, pull
from bench.systems import CACHE, CLOUD, PIL_LOOP, VIPS_LOOP, System
from tests.stack.running import CHECKOUT

SIZES = {"new": 200, "second": 320, "third": 150, "companion": 250, "webp": 400, "avif": 400}
LOOPS = {
    PIL_LOOP: [sys.executable, "-m", "bench.loop"],
    VIPS_LOOP: [str(CACHE / "venv/bin/python"), "bench/vips.py", "loop"],
}


PROCESSES = 2  # of a loop


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is asked for: addresses at the origin, and the same pictures as files."""

    origin: str
    files: Sequence[Path]

    def urls(self, suffix: str) -> list[str]:
        """Return addresses that nobody has asked for yet: `suffix` makes them new pictures."""
        return [f"{self.origin}/{path.name}?{suffix}" for path in self.files]


@dataclasses.dataclass(frozen=True)
class Took:
    """What some pictures took: their number, seconds, and CPU seconds."""

    count: int
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.count / self.seconds

    def __add__(self, other: Took) -> Took:
        return Took(
            self.count + other.count, self.seconds + other.seconds, self.cpu_s + other.cpu_s
        )


class Subject(Protocol):
    """What takes part: a system or a loop."""

    @property
    def name(self) -> str: ...

    @property
    def sizes(self) -> Sequence[str]: ...

    def once(self, pictures: Pictures, number: int, side: int, keep: Path | None) -> Took:
        """Make every picture once, in round `number`; `keep` is where they go."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A system that is asked over HTTP."""

    system: System
    sizes: Sequence[str] = ("new",)
    format: str = "jpg"
    turn: str = ""
    """Makes the addresses others than in the turns before."""

    @property
    def name(self) -> str:
        return self.system.name

    def once(self, pictures: Pictures, number: int, side: int, keep: Path | None) -> Took:
        """Ask for every picture once."""
        system, urls = self.system, pictures.urls(f"round={number}{self.turn}")
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
        before = procs.cpu_s(system.pids())
        asked = [system.thumbnail(url, side, self.format) for url in urls]
        seconds = pull(asked, system.headers, keep=keep)
        return Took(len(urls), seconds, procs.cpu_s(system.pids()) - before)


@dataclasses.dataclass(frozen=True)
class Loop:
    """Two processes that share the files, with nothing fetched and nothing kept."""

    name: str
    sizes: Sequence[str] = ("new",)

    def once(self, pictures: Pictures, _number: int, side: int, _keep: Path | None) -> Took:
        """Make every picture once."""
        running = [self._start(side) for _ in range(PROCESSES)]
        before = procs.cpu_s([os.getpid(), *(process.pid for process in running)])
        began = time.monotonic()
        for turn, process in enumerate(running):
            assert process.stdin
            process.stdin.write("\n".join(map(str, pictures.files[turn::PROCESSES])))
            process.stdin.close()
        codes = [process.wait() for process in running]
        if any(codes):
            raise RuntimeError(f"{self.name} failed")
        seconds = time.monotonic() - began
        return Took(len(pictures.files), seconds, procs.cpu_s([os.getpid()]) - before)

    def _start(self, side: int) -> subprocess.Popen[str]:
        """Start a process, and wait until it has imported what it needs."""
        process = subprocess.Popen(
            [*LOOPS[self.name], str(side)], cwd=CHECKOUT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        return process


Measured = dict[str, dict[str, dict[str, float]]]
Rounds = dict[tuple[str, str, str], list[Took]]


def turns(
    subjects: Sequence[Subject], kinds: Mapping[str, Pictures], rounds: int, work: Path
) -> Rounds:
    """Let the subjects take turns, each for its sizes of every kind; return what each round took.

    Every round has new addresses and another order.
    """
    seen: Rounds = {}
    for number in range(rounds):
        for subject in in_order(subjects, number):
            for kind, pictures in kinds.items():
                for size in subject.sizes:
                    keep = None if number else _folder(work, kind, subject.name, size)
                    one = subject.once(pictures, number, SIZES[size], keep)
                    seen.setdefault((kind, subject.name, size), []).append(one)
    return seen


def together(seen: Rounds, kinds: Sequence[str], mix: str) -> Rounds:
    """Return what `kinds` took together in each round, as the kind `mix`."""
    first = [(name, size) for kind, name, size in seen if kind == kinds[0]]
    return {
        (mix, name, size): [
            sum(ones[1:], start=ones[0])
            for ones in zip(*(seen[kind, name, size] for kind in kinds), strict=True)
        ]
        for name, size in first
    }


def medians(seen: Rounds, kind: str) -> Measured:
    """Return the medians of one kind by system and size; `ours` is of Image Cloud's rate beside it."""
    results: Measured = {}
    for (of_kind, name, size), ones in seen.items():
        if of_kind != kind:
            continue
        ours = seen[kind, CLOUD, size]
        pairs = zip(ours, ones, strict=True)
        results.setdefault(name, {})[size] = {
            "per_s": statistics.median(one.per_s for one in ones),
            "cpu_ms": statistics.median(one.cpu_s / one.count * 1000 for one in ones),
            "ours": statistics.median(mine.per_s / one.per_s for mine, one in pairs),
        }
    return results


def add_quality(measured: Measured, pictures: Pictures, work: Path, kind: str) -> None:
    """Add bytes and PSNR of what the first round left behind."""
    for name, sizes in measured.items():
        for size, one in sizes.items():
            folder = _folder(work, kind, name, size)
            if folder.exists():
                one |= quality.measure(pictures.files, folder)


def _folder(work: Path, kind: str, name: str, size: str) -> Path:
    return work / f"{kind}-{name}-{size}".replace(" ", "-")


def hops(stack_pids: dict[str, list[int]], work: Callable[[], object]) -> dict[str, float]:
    """Return the CPU seconds that each pool takes while `work` runs."""
    before = {name: procs.cpu_s(pids) for name, pids in stack_pids.items()}
    work()
    return {name: procs.cpu_s(pids) - before[name] for name, pids in stack_pids.items()}
