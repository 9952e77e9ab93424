"""What several systems did in turn, as Markdown: medians, and medians of the rounds' ratios."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import procs
from bench.load import pull
from bench.stored import Asked, in_turn
from bench.systems import CLOUD, System
from tests.stack.running import Stack

Parts = Mapping[str, Sequence[int]]


class Turn:
    """One system's turn: pictures a second, and CPU milliseconds of each picture."""

    def __init__(self, system: System, urls: Sequence[str], side: int, parts: Parts) -> None:
        """Ask `system` for all `urls`; `busy_ms` is what the whole machine spent meanwhile."""
        before = {name: _cpu_s(pids) for name, pids in parts.items()}
        idle_s = _idle_s()
        seconds = pull([system.thumbnail(url, side) for url in urls], system.headers)
        idle_s = _idle_s() - idle_s
        self.per_s = len(urls) / seconds
        self.busy_ms = ((os.cpu_count() or 1) * seconds - idle_s) / len(urls) * 1000
        self.parts_ms = {
            name: (_cpu_s(pids) - before[name]) / len(urls) * 1000 for name, pids in parts.items()
        }


def _cpu_s(pids: Sequence[int]) -> float:
    """Return the CPU seconds of these processes, and of those that they have forked since."""
    return procs.cpu_s({one for pid in pids for one in procs.family(pid)})


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the median of the rounds' ratios, with the range of the middle half."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    middle = ratios[len(ratios) // 4 : len(ratios) - len(ratios) // 4]
    return f"{statistics.median(ratios):.2f} ({middle[0]:.2f} to {middle[-1]:.2f})"


def print_new(turns: Mapping[str, Sequence[Turn]], count: int) -> None:
    """Print what a new picture costs each system, and Image Cloud's rate beside the others'."""
    ours = [turn.per_s for turn in turns[CLOUD]]
    print(f"new thumbnails of {count} pictures, {len(ours)} rounds\n")
    for name, ones in turns.items():
        if name != CLOUD:
            print(f"{ratio(ours, [turn.per_s for turn in ones])} times the rate of {name}")
    print(f"\n| milliseconds a picture | {' | '.join(turns)} |\n{'|---' * (len(turns) + 1)}|")
    _print_row("pictures a second", turns, lambda turn: turn.per_s)
    _print_row("CPU, the whole machine", turns, lambda turn: turn.busy_ms)
    _print_row("CPU of its processes", turns, lambda turn: sum(turn.parts_ms.values()))
    parts = [part for ones in list(turns.values())[1:] for part in ones[0].parts_ms]
    for part in dict.fromkeys(parts):
        _print_row(part, turns, lambda turn, part=part: turn.parts_ms.get(part))  # type: ignore[misc]


def _print_row(
    title: str, turns: Mapping[str, Sequence[Turn]], value: Callable[[Turn], float | None]
) -> None:
    cells = [
        [seen for turn in ones if (seen := value(turn)) is not None] for ones in turns.values()
    ]
    texts = (f"{statistics.median(cell):.2f}" if cell else "" for cell in cells)
    print(f"| {title} | " + " | ".join(texts) + " |")


def print_stored(
    running: Sequence[tuple[System, Stack]], url: str, rounds: int, seconds: float
) -> None:
    """Print the rates of stored pictures of two builds, and their ratio, for each kind of request."""
    names = [system.name for system, _ in running]
    print("\n| stored, requests a second | " + " | ".join(names) + " | ratio |\n|---|---|---|---|")
    for title, address in KINDS.items():
        cases = {}
        for system, stack in running:
            target = address(system, stack, url)
            pull([target] * 8, system.headers)
            cases[system.name] = Asked([target], system.headers)
        rates = in_turn(cases, rounds, seconds)
        medians = (f"{statistics.median(rates[name]):,.0f}" for name in names)
        print(f"| {title} | {' | '.join(medians)} | {ratio(*(rates[name] for name in names))} |")


KINDS: dict[str, Callable[[System, Stack, str], str]] = {
    "thumbnail": lambda system, _stack, url: system.thumbnail(url, 200),
    "get_image resized": lambda system, _stack, url: system.thumbnail(url, 300),
    "original": lambda _system, stack, url: f"{stack.url}/get_image?url={url}",
}


def _idle_s() -> float:
    """Return how long all cores together have been idle."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / procs.TICKS
