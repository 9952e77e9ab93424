"""New thumbnails alone, in turn with thumbor: rates, and the CPU of each part of Image Cloud."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from bench import pictures, procs, systems
from bench.__main__ import pool_pids, workplace
from bench.load import pull
from bench.systems import CLOUD, THUMBOR, System
from image_cloud.process.unix_http import UnixConnection
from tests.stack.running import Stack

PRODUCTS, WARM_ROUNDS = 300, 1
HOPS = 1000
Parts = Mapping[str, Sequence[int]]


class Turn:
    """One system's turn: pictures a second, and CPU milliseconds of each picture."""

    def __init__(self, system: System, urls: Sequence[str], side: int, parts: Parts) -> None:
        """Ask `system` for all `urls`; `busy_ms` is what the whole machine spent meanwhile."""
        before = {name: procs.cpu_s(pids) for name, pids in parts.items()}
        idle_s = _idle_s()
        seconds = pull([system.thumbnail(url, side) for url in urls], system.headers)
        idle_s = _idle_s() - idle_s
        self.per_s = len(urls) / seconds
        self.busy_ms = ((os.cpu_count() or 1) * seconds - idle_s) / len(urls) * 1000
        self.parts_ms = {
            name: (procs.cpu_s(pids) - before[name]) / len(urls) * 1000
            for name, pids in parts.items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.new")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--settings", default="", help="section.option=value;... of this run")
    arguments = parser.parse_args()
    with workplace() as work:
        kept = systems.CACHE / f"pictures-{PRODUCTS}"
        names, _ = pictures.make(kept, PRODUCTS, 0)
        shutil.copytree(kept, work / "pictures")
        with (
            systems.files(work / "pictures", work) as (origin, _),
            systems.thumbor(work) as thumbor,
            systems.cloud(work / "home", arguments.settings) as (cloud, stack),
        ):
            each = {
                THUMBOR: (thumbor, {THUMBOR: thumbor.pids()}),
                CLOUD: (cloud, pool_pids(stack)),
            }
            turns: dict[str, list[Turn]] = {name: [] for name in each}
            for number in range(WARM_ROUNDS + arguments.rounds):
                urls = [f"{origin}/{name}?new={number}" for name in names]
                for name in list(each)[:: 1 if number % 2 else -1]:
                    system, parts = each[name]
                    turns[name].append(Turn(system, urls, arguments.side, parts))
            report({name: ones[WARM_ROUNDS:] for name, ones in turns.items()})
            for pool in ("front", "fetch", "resize"):
                print(f"| a request to {pool} that does nothing | {hop_ms(stack, pool):.2f} |")


def report(turns: Mapping[str, Sequence[Turn]]) -> None:
    """Print medians over the rounds, Markdown."""
    theirs, ours = turns[THUMBOR], turns[CLOUD]
    ratio = statistics.median(a.per_s / b.per_s for a, b in zip(ours, theirs, strict=True))
    print(f"new thumbnails of {PRODUCTS} pictures, {ratio:.2f} times thumbor's rate\n")
    print(f"| milliseconds a picture | {THUMBOR} | {CLOUD} |\n|---|---|---|")

    def row(title: str, value: Callable[[Turn], float]) -> None:
        cells = (statistics.median(map(value, ones)) for ones in (theirs, ours))
        print(f"| {title} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")

    row("pictures a second", lambda turn: turn.per_s)
    row("CPU, the whole machine", lambda turn: turn.busy_ms)
    row("CPU of its processes", lambda turn: sum(turn.parts_ms.values()))
    for name in ours[0].parts_ms:
        part = statistics.median(turn.parts_ms[name] for turn in ours)
        print(f"| {name} | | {part:.2f} |")


def hop_ms(stack: Stack, pool: str) -> float:
    """Return the CPU milliseconds of a pool for one request that does nothing, the pool being warm."""
    pids = procs.family(stack.pid(f"image-cloud-{pool}"))
    query = urlencode({"url": "http://shop.example/a.jpg", "variant": "200x200-fit-q85.jpg"})
    connection = UnixConnection(str(stack.home / f"run/sockets/{pool}.sock"), 10.0)
    before = procs.cpu_s(pids)
    for _ in range(HOPS):
        connection.request("GET", f"/health?{query}")
        connection.getresponse().read()
    return (procs.cpu_s(pids) - before) / HOPS * 1000


def _idle_s() -> float:
    """Return how long all cores together have been idle."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / procs.TICKS


if __name__ == "__main__":
    main()
