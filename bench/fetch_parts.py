"""What the fetch pool does for a picture, part by part: CPU milliseconds from the URL to the committed row.

.venv/bin/python -m bench.fetch_parts

First an original alone, then with a thumbnail and its companion; what the decoder does is not counted.

The total is measured without a profiler.  cProfile then says which function takes which share; what it costs
itself, so much a call, is taken off again.  Functions of Python and its libraries count for who calls them.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import dataclasses
import io
import pstats
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench import pictures, systems
from bench.__main__ import workplace
from image_cloud.config import Config
from image_cloud.decoding.asking import Made
from image_cloud.decoding.maker import Maker
from image_cloud.fetch.flights import Flights
from image_cloud.node import Node
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.process.logs import set_up_logging
from tests.decoding import Daemon, configured
from tests.node import new_node
from tests.postgres import Cluster

PRODUCTS, ROUNDS, WARM = 60, 6, 2
SIDE, PATIENCE_S = 200, 60.0

Function = tuple[str, int, str]
PARTS = {
    "head": "the request, and the answer's head",
    "bytes": "receiving and writing the body",
    "hash": "SHA-256",
    "checks": "format, size, is it whole",
    "note": "the record as JSON, drafted beside the original",
    "place": "names, folders, stamps, the placing lock",
    "flush": "waiting for the disk",
    "row": "the row, and the record's last place",
    "gate": "the domain's slot and state",
    "decoder": "asking it, and reading its answer",
    "judge": "is a variant what was asked for",
    "rest": "what holds these together: flights, failure memory, tombstones, log",
}
FILES = {
    "origin/http1/body": "bytes", "origin/http1/inbound": "bytes", "origin/http1/codings": "bytes",
    "storage/incoming": "bytes", "origin/": "head", "picture/structure/": "checks",
    "picture/formats": "checks", "storage/notes": "note", "storage/records": "note",
    "storage/new_file": "place", "storage/originals": "place", "storage/files": "place",
    "storage/store": "place", "storage/recorder": "row", "db/": "row", "psycopg2": "row",
    "politeness/": "gate", "storage/variants": "place", "decoding/check": "judge",
    "decoding/client": "decoder", "decoding/frames": "decoder", "decoding/plan": "decoder",
    "decoding/answer": "decoder",
}  # fmt: skip
FUNCTIONS = {
    "'update' of '_hashlib.HASH'": "hash", "openssl_sha256": "hash", "posix.fsync": "flush",
    "await_written": "flush", "start_sync": "flush", "posix.pwrite": "bytes",
}  # fmt: skip
"""Wherever they are called."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.fetch_parts")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--functions", type=int, default=0, help="print so many of the dearest")
    arguments = parser.parse_args()
    with workplace() as work, Cluster() as cluster, Daemon(_decoder(work)) as decoder:
        names = pictures.products_in(work / "pictures", systems.CACHE, PRODUCTS)
        with systems.files(work / "pictures", work) as (origin, _):
            (work / "home").mkdir()
            node = new_node(work / "home", database=cluster.settings("template"))
            turns: Flights[Made] = Flights(work / "turns", PATIENCE_S)
            resize = node.config.resize
            maker = Maker(node.store, node.failures, decoder.client(), turns, resize)
            urls = [f"{origin}/{name}" for name in names]
            measures = {
                "an original into the store": Measure(node, urls),
                f"and a thumbnail of {SIDE} px with its companion": Measure(node, urls, maker),
            }
            with contextlib.redirect_stderr(
                io.StringIO()
            ):  # its lines cost, and are not to be seen
                set_up_logging("info", "logfmt")
                seen = [
                    one.table(title, arguments.rounds, arguments.functions)
                    for title, one in measures.items()
                ]
            print("\n".join(seen))


def _decoder(work: Path) -> Config:
    folder = work / "decoder"
    folder.mkdir()
    return configured(folder)


class Measure:
    """Fetches pictures that are new to `node`, round by round, and makes thumbnails with `maker`."""

    def __init__(self, node: Node, urls: Sequence[str], maker: Maker | None = None) -> None:
        self._node = node
        self._urls = urls
        self._maker = maker
        self._round = 0

    def table(self, title: str, rounds: int, functions: int) -> str:
        """Return the table, and the dearest functions if any are wanted."""
        for _ in range(WARM):
            self._fetch(self._next())
        total_ms = statistics.median(self.cpu_ms() for _ in range(rounds))
        profile = cProfile.Profile(time.thread_time)
        for _ in range(rounds):
            profile.runcall(self._fetch, self._next())
        text = io.StringIO()
        stats: pstats.Stats = pstats.Stats(profile, stream=text)
        count = rounds * len(self._urls)
        parts = Shares(stats.stats, count, total_ms).by_part()  # type: ignore[attr-defined]
        print(f"| {title} | ms |\n|---|---|", file=text)
        for part, meaning in PARTS.items():
            if part in parts:
                print(f"| {part}: {meaning} | {parts[part]:.2f} |", file=text)
        print(f"| all | {total_ms:.2f} |", file=text)
        if functions:
            stats.sort_stats("tottime").print_stats(functions).print_callers(functions)
        return text.getvalue()

    def cpu_ms(self) -> float:
        """Return the CPU milliseconds of one picture, in this thread."""
        urls = self._next()
        began = time.thread_time()
        self._fetch(urls)
        return (time.thread_time() - began) / len(urls) * 1000

    def _next(self) -> list[Url]:
        self._round += 1
        which = f"{bool(self._maker)}-{self._round}"
        return [Url.parse(f"{url}?round={which}") for url in self._urls]

    def _fetch(self, urls: Sequence[Url]) -> None:
        for url in urls:
            original = self._node.cache.load(url).original
            if self._maker:
                self._maker.make(original, Recipe(SIDE, SIDE))
        self._node.recorder.finish()


@dataclasses.dataclass(frozen=True)
class Shares:
    """Divides `total_ms` of one picture by what the profile of `count` pictures says."""

    stats: dict[
        Function, tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]
    ]
    count: int
    total_ms: float

    def by_part(self) -> dict[str, float]:
        """Return the milliseconds of each part."""
        calls = sum(entry[1] for entry in self.stats.values())
        seen_s = sum(entry[2] for entry in self.stats.values())
        per_call_s = max(seen_s - self.total_ms / 1000 * self.count, 0.0) / calls
        found: dict[str, float] = {}
        for function, (_, number, own_s, _, _) in self.stats.items():
            ms = max(own_s - number * per_call_s, 0.0) / self.count * 1000
            for part, share in self._parts_of(function, ()).items():
                found[part] = found.get(part, 0.0) + ms * share
        scale = self.total_ms / sum(found.values())
        return {part: ms * scale for part, ms in found.items()}

    def _parts_of(self, function: Function, below: tuple[Function, ...]) -> dict[str, float]:
        """Return the shares of the parts for which a function works: its own, else its callers'."""
        if part := _part_of(function):
            return {part: 1.0}
        callers = self.stats[function][4]
        total = sum(entry[2] for entry in callers.values())
        found: dict[str, float] = {}
        for caller, entry in callers.items():
            if caller in below or caller == function or not total:
                continue
            for part, share in self._parts_of(caller, (*below, function)).items():
                found[part] = found.get(part, 0.0) + share * entry[2] / total
        return found or {"rest": 1.0}


def _part_of(function: Function) -> str | None:
    path, _, name = function
    for word, part in FUNCTIONS.items():
        if word in name:
            return part
    for word, part in FILES.items():
        if f"image_cloud/{word}" in path or (word == "psycopg2" and word in name + path):
            return part
    return "rest" if "image_cloud" in path else None


if __name__ == "__main__":
    main()
