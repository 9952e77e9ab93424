"""Run all measurements one after the other, print the table, write chart and JSON."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import made, memory, new_files, pictures, procs, report, slow, stored, systems
from bench.load import pull
from bench.made import Asked, Loop, Pictures
from bench.report import say
from bench.systems import CLOUD, PIL_LOOP, THUMBOR, VIPS, VIPS_LOOP, System
from tests.stack.running import CHECKOUT, Stack


@dataclasses.dataclass(frozen=True)
class Extent:
    """How much is measured."""

    products: int
    large: int
    made_rounds: int
    rounds: int
    seconds: float
    growth: tuple[int, int]
    settle_s: float
    clients: tuple[int, ...]
    slow_s: float
    mixed_per_s: float = 2000.0


QUICK = Extent(30, 3, 3, 3, 1.0, (1_000, 10_000), 5.0, (8, 64), 5.0)
WHOLE = Extent(300, 12, 6, 6, 2.0, (10_000, 1_000_000), 60.0, (8, 64, 256, 1000), 25.0)
BASELINE, PROGRESSIVE, MIX, LARGE = "baseline", "progressive", "mix", "large, progressive"
FORMATS = ("webp", "avif")
FEW = 30


class Bench:
    """One run; `result` grows step by step."""

    def __init__(
        self, extent: Extent, folder: Path, work: Path, origin: str, bare_folder: Path
    ) -> None:
        self.extent, self.work, self.origin, self.bare_folder = extent, work, origin, bare_folder
        self.folder = folder
        self.products, self.large = pictures.make(folder, extent.products, extent.large)
        self.result: dict[str, Any] = {"made": {}, "formats": {}, "memory": {}}

    def urls(self, names: Sequence[str]) -> list[str]:
        return [f"{self.origin}/{name}" for name in names]

    def pictures(self, names: Sequence[str]) -> Pictures:
        return Pictures(self.origin, [self.folder / name for name in names])

    def memory(self) -> None:
        """Measure what each of three systems holds at rest and at most, with nothing else running."""
        kept = systems.CACHE / "huge"
        names = memory.pictures(kept)
        huge = self.urls(names)
        for name in names:
            shutil.copyfile(kept / name, self.folder / name)
        starts: dict[str, Callable[[], contextlib.AbstractContextManager[System]]] = {
            CLOUD: self._fresh_cloud,
            THUMBOR: lambda: systems.thumbor(self.work / "memory"),
            VIPS: lambda: systems.vips(self.work),
        }
        for name, start in starts.items():
            say(f"memory: {name}")
            with start() as system:
                settle_s = self.extent.settle_s if name == CLOUD else 5.0
                rest = memory.rest(system, settle_s)
                self.result["memory"][name] = {
                    "rest_mb": rest,
                    "peak_mb": memory.peak(system, huge),
                }

    @contextlib.contextmanager
    def _fresh_cloud(self) -> Iterator[System]:
        with systems.cloud(self.work / "memory-home") as (system, _):
            yield system

    def make(self, asked: Sequence[System], cloud: System) -> None:
        """Measure new, second and third sizes, all systems in turn."""
        everything = [*asked, cloud]
        for turn in ("one", "two"):
            for system in everything:
                warm = [f"{url}?warm={turn}" for url in self.urls(self.products[:FEW])]
                pull([system.thumbnail(url, 200) for url in warm], system.headers)
        kinds = {
            BASELINE: self.pictures([n for i, n in enumerate(self.products) if i % 3]),
            PROGRESSIVE: self.pictures(self.products[::3]),
            LARGE: self.pictures(self.large),
        }
        further = ("new", "second", "third")
        subjects: list[made.Subject] = [
            *(Asked(one, further if one.name == THUMBOR else ("new",)) for one in asked),
            Asked(cloud, ("new", "companion", "second", "third")),
            Loop(PIL_LOOP),
            Loop(VIPS_LOOP),
        ]
        outputs = self.work / "outputs"
        say("new pictures")
        seen = made.turns(subjects, kinds, self.extent.made_rounds, outputs)
        seen |= made.together(seen, (BASELINE, PROGRESSIVE), MIX)
        for kind in (BASELINE, PROGRESSIVE, MIX, LARGE):
            measured = made.medians(seen, kind)
            if kind in kinds:
                made.add_quality(measured, kinds[kind], outputs, kind)
            self.result["made"][kind] = measured

    def formats(self, asked: Sequence[System]) -> None:
        """Measure new WebP and AVIF pictures."""
        some = self.pictures(self.products[: 2 * FEW])
        for format in FORMATS:
            say(f"new pictures: {format}")
            subjects = [Asked(one, (format,), format, f"&{format}") for one in asked]
            outputs = self.work / "outputs"
            seen = made.turns(subjects, {format: some}, min(self.extent.made_rounds, 3), outputs)
            measured = made.medians(seen, format)
            made.add_quality(measured, some, outputs, format)
            self.result["formats"][format] = measured

    def stored(self, cloud: System, stack: Stack, peers: Sequence[System]) -> None:
        """Measure what is on disk: the same pictures of all, beside bare nginx that has them as files."""
        say("stored pictures")
        urls, extent = self.urls(self.products), self.extent
        thumbnails, resized, originals = (
            [cloud.thumbnail(url, 200) for url in urls],
            [cloud.thumbnail(url, 300) for url in urls],
            [f"{stack.url}/get_image?url={url}" for url in urls],
        )
        folder = self.bare_folder / "stored"
        folder.mkdir()
        pull(thumbnails, cloud.headers, keep=folder)
        pull(resized, cloud.headers)
        bare = stored.Asked([f"{self.origin}/stored/{n}.jpg" for n in range(len(urls))])
        in_query = [f"{address}&token={stack.token}" for address in thumbnails]
        cases = {
            f"{CLOUD}: thumbnail": stored.Asked(thumbnails, cloud.headers),
            f"{CLOUD}: thumbnail, token in the query": stored.Asked(in_query),
            f"{CLOUD}: get_image resized": stored.Asked(resized, cloud.headers),
            f"{CLOUD}: companion size": stored.Asked(
                [cloud.thumbnail(url, 250) for url in urls], cloud.headers
            ),
        }
        for peer in peers:
            addresses = [peer.thumbnail(url, 200) for url in urls]
            pull(addresses, ())
            cases[peer.name] = stored.Asked(addresses)
        self.result["stored"] = stored.against_bare(cases, bare, extent.rounds, extent.seconds)
        self.result["original"] = stored.against_bare(
            {CLOUD: stored.Asked(originals, cloud.headers)},
            stored.Asked(urls), extent.rounds, extent.seconds,
        )  # fmt: skip
        full = self.result["stored"][f"{CLOUD}: thumbnail"]["per_s"]
        self.result["latency"] = stored.latency(
            cases[f"{CLOUD}: thumbnail"], full, 2 * extent.seconds
        )
        say("mixed load")
        # A shop that may hold so many is the operator's choice; the default is 8.
        limits = {"default": 8, stored.SLOW_ADDRESS: stored.HELD}
        (stack.home / "max_downloads.json").write_text(json.dumps(limits))
        self.result["mixed"] = stored.mixed(
            cloud, thumbnails, originals, self.origin, extent.mixed_per_s, 3 * extent.seconds
        )

    def slow(self, asked: Sequence[System]) -> None:
        """Measure what clients of slow shops get, and how hits fare beside them."""
        say("slow shops")
        clients, seconds = self.extent.clients, self.extent.slow_s
        self.result["slow"] = slow.beside(asked, self.work, clients, seconds)

    def hops(self, cloud: System, stack: Stack) -> None:
        """Measure what each part of ours spends on a new picture, and its memory after all that."""
        pools = pool_pids(stack)
        hops = [cloud.thumbnail(f"{self.origin}/{name}?hops", 200) for name in self.products]
        spent = made.hops(pools, lambda: pull(hops, cloud.headers))
        self.result["hops"] = {name: value / len(hops) * 1000 for name, value in spent.items()}
        self.result["memory_mb"] = {name: procs.memory_mb(pids) for name, pids in pools.items()}

    def growth(self, cloud: System, stack: Stack) -> None:
        """Measure hits among few and among many stored variants."""
        extent = self.extent
        self.result["growth"] = stored.growth(
            stack, cloud, f"{self.origin}/stored/0.jpg",
            extent.growth, extent.rounds, extent.seconds, say,
        )  # fmt: skip


def pool_pids(stack: Stack) -> dict[str, list[int]]:
    """Return the processes of each part of the stack."""
    found: dict[str, list[int]] = {}
    for line in stack.supervisorctl("status").splitlines():
        name = line.split()[0]
        if "RUNNING" in line:
            found[name.removeprefix("image-cloud-")] = procs.family(stack.pid(name))
    return found


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder that every user may look into, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="image-cloud-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        # Millions of files: several times faster than shutil.rmtree.
        subprocess.run(["rm", "-rf", folder], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument(
        "--quick", action="store_true", help="few pictures, short rounds: under 5 minutes"
    )
    parser.add_argument("--out", type=Path, default=CHECKOUT / "bench/results")
    arguments = parser.parse_args()
    # leaves nothing running
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended"))
    extent = QUICK if arguments.quick else WHOLE
    began = time.monotonic()
    with workplace() as work:
        folder = work / "pictures"
        kept = systems.CACHE / f"pictures-{extent.products}"
        say("pictures")
        pictures.make(kept, extent.products, extent.large)
        shutil.copytree(kept, folder)
        with systems.files(folder, work) as (origin, _):
            bench = Bench(extent, folder, work, origin, folder)
            bench.result |= {
                "date": time.strftime("%Y-%m-%d"),
                "command": "make bench" + (" QUICK=1" if arguments.quick else ""),
                "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before",
            }
            bench.memory()
            run(bench, work, origin)
        for line in report.table(bench.result):
            print(line)
        report.write(bench.result, arguments.out)
    say(f"done in {time.monotonic() - began:.0f} s; chart and JSON are in {arguments.out}")


def run(bench: Bench, work: Path, origin: str) -> None:
    """Start every system, and measure them beside each other.

    What is stored comes first, while the disk forgets what the set-up has deleted.
    """
    with contextlib.ExitStack() as stack:
        thumbor = stack.enter_context(systems.thumbor(work))
        filtered = stack.enter_context(systems.image_filter(origin, work))
        cloud, node = stack.enter_context(systems.cloud(work / "home"))
        bench.stored(cloud, node, (thumbor, filtered))
        with contextlib.ExitStack() as for_new:
            vips = for_new.enter_context(systems.vips(work))
            peers = [thumbor, filtered, vips]
            if systems.has_ipx():
                peers.append(for_new.enter_context(systems.ipx(work)))
            if bench.extent is WHOLE:
                new_files.await_usual(work)
            bench.make(peers, cloud)
            bench.formats((thumbor, vips, cloud))
            bench.slow((thumbor, vips, cloud))
        bench.hops(cloud, node)
        bench.growth(cloud, node)


if __name__ == "__main__":
    main()
