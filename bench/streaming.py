"""What visitors notice of streams to peers: stored and new thumbnails alone, and beside two streams at full speed.

.venv/bin/python -m bench.streaming [--rounds 3] [--seconds 3]

The readers are two of curl, which throw away what they get.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import pictures, systems
from bench.__main__ import workplace
from bench.load import pull, wrk
from image_cloud.picture.key import key_of
from tests.stack.running import Stack

PRODUCTS, SIDE, READERS = 300, 200, 2
LOOP = 'while :; do curl -s -o /dev/null -w "%{size_download}\\n" -H "$1" --data-binary "@$2" "$3"; done'


@contextlib.contextmanager
def streams(stack: Stack, keys: Path, log: Path) -> Iterator[None]:
    """Have peers read all originals again and again; what they read is in `log`."""
    header, url = f"X-Image-Cloud-Token: {stack.token}", f"{stack.url}/originals"
    with log.open("a") as file, contextlib.ExitStack() as undo:
        for _ in range(READERS):
            command = ["sh", "-c", LOOP, "sh", header, str(keys), url]
            reader = undo.enter_context(subprocess.Popen(command, stdout=file))
            undo.callback(reader.kill)
        yield


def rates(stored: Sequence[str], new: Sequence[str], header: str, seconds: float) -> list[float]:
    """Return stored thumbnails a second, their 99th percentile in ms, and new ones a second."""
    hits = wrk(stored, [header], seconds)
    return [hits["per_s"], hits["p99"] / 1000, len(new) / pull(new, [header])]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.streaming", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    with workplace() as work:
        names = pictures.products_in(work / "pictures", systems.CACHE, PRODUCTS)
        with (
            systems.files(work / "pictures", work) as (origin, _),
            systems.cloud(work / "home") as (system, stack),
        ):
            urls = [f"{origin}/{name}" for name in names]
            stored = [system.thumbnail(url, SIDE) for url in urls]
            header = system.headers[0]
            pull(stored, [header])
            (work / "keys").write_text("\n".join(map(key_of, urls)))
            seen: dict[str, list[list[float]]] = {"alone": [], "beside streams": []}
            for number in range(2 * arguments.rounds):
                name = list(seen)[number % 2]
                new = [system.thumbnail(f"{url}?new={number}", SIDE) for url in urls]
                beside = streams(stack, work / "keys", work / "log") if number % 2 else None
                with beside or contextlib.nullcontext():
                    seen[name].append(rates(stored, new, header, arguments.seconds))
            sizes = map(int, re.findall(r"\d+", (work / "log").read_text()))
            report(seen, sum(sizes))


def report(seen: dict[str, list[list[float]]], streamed: int) -> None:
    """Print the medians."""
    print("| | stored/s | p99, ms | new/s |\n|---|---|---|---|")
    for name, rounds in seen.items():
        hits, p99, new = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {hits:.0f} | {p99:.2f} | {new:.0f} |")
    print(f"streamed meanwhile: {streamed / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
