"""New thumbnails, in turn with thumbor, and the CPU of each part of Image Cloud.

With --against CHECKOUT that checkout's build takes turns as well, and then both builds' stored pictures.  Of the
other checkout only `make up` and HTTP are used: it may be of any age.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from bench import comparison, pictures, procs, systems
from bench.__main__ import pool_pids, workplace
from bench.comparison import Parts, Turn
from bench.load import in_order
from bench.systems import THUMBOR, System
from tests.stack.running import Stack
from tests.unix_http import UnixConnection

PRODUCTS, WARM_ROUNDS = 300, 1
HOPS = 1000
Each = Mapping[str, tuple[System, Parts]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.new")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each stored measurement")
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--settings", default="", help="section.option=value;... of this run")
    parser.add_argument(
        "--against", type=systems.checkout, metavar="CHECKOUT", help="the other build"
    )
    arguments = parser.parse_args()
    with workplace() as work:
        names = pictures.products_in(work / "pictures", systems.CACHE, PRODUCTS)
        with (
            systems.files(work / "pictures", work) as (origin, _),
            systems.thumbor(work) as thumbor,
            builds(work, arguments.settings, arguments.against) as running,
        ):
            each = {THUMBOR: (thumbor, {THUMBOR: thumbor.pids()})} | {
                system.name: (system, pool_pids(stack)) for system, stack in running
            }
            urls = [f"{origin}/{name}" for name in names]
            comparison.print_new(turns(each, urls, arguments.side, arguments.rounds), PRODUCTS)
            for pool in ("front", "fetch", "decoder"):
                print(
                    f"| a request to {pool} that does nothing | {hop_ms(running[0][1], pool):.2f} |"
                )
            if arguments.against:
                comparison.print_stored(running, urls[0], arguments.rounds, arguments.seconds)


@contextlib.contextmanager
def builds(work: Path, settings: str, against: Path | None) -> Iterator[list[tuple[System, Stack]]]:
    """Run this checkout's build, and the other one's beside it; each has its own home."""
    with contextlib.ExitStack() as started:
        ours = systems.cloud(work / "home", settings)
        running = [started.enter_context(ours)]
        if against:
            theirs = systems.cloud(work / "other", settings, against, systems.OTHER)
            running.append(started.enter_context(theirs))
        yield running


def turns(each: Each, urls: Sequence[str], side: int, rounds: int) -> dict[str, list[Turn]]:
    """Let all take turns, and return each one's turns without the first, which warms up."""
    seen: dict[str, list[Turn]] = {name: [] for name in each}
    for number in range(WARM_ROUNDS + rounds):
        new = [f"{url}?new={number}" for url in urls]
        for name in in_order(list(each), number):
            system, parts = each[name]
            seen[name].append(Turn(system, new, side, parts))
    return {name: ones[WARM_ROUNDS:] for name, ones in seen.items()}


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


if __name__ == "__main__":
    main()
