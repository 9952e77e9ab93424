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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import made, pictures, procs, report, stored, systems
from bench.load import pull
from bench.systems import CLOUD, FILTER, LOOP, THUMBOR, System
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
    mixed_per_s: float = 2000.0


QUICK = Extent(30, 3, 5, 3, 1.0, (1_000, 10_000))
WHOLE = Extent(300, 12, 5, 9, 3.0, (10_000, 1_000_000))


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """One run; `result` grows step by step."""

    def __init__(
        self, extent: Extent, folder: Path, work: Path, origin: str, bare_folder: Path
    ) -> None:
        self.extent, self.work, self.origin, self.bare_folder = extent, work, origin, bare_folder
        self.folder = folder
        self.products, self.large = pictures.make(folder, extent.products, extent.large)
        self.result: dict[str, Any] = {"made": {"products": {}, "large": {}}, "original": {}}

    def urls(self, names: list[str]) -> list[str]:
        return [f"{self.origin}/{name}" for name in names]

    def make(self, peers: Sequence[System], cloud: System) -> None:
        """Measure new, second and third sizes, products and large ones, all systems in turn."""
        further = ("new", "second", "third")
        asked: list[tuple[System, tuple[str, ...]]] = [
            (one, further if one.name == THUMBOR else ("new",)) for one in peers
        ]
        asked.append((cloud, ("new", "companion", "second", "third")))
        for turn in ("one", "two"):
            for system, _ in asked:
                warm = [f"{url}?warm={turn}" for url in self.urls(self.products[:30])]
                pull([system.thumbnail(url, 200) for url in warm], system.headers)
        for kind, names in (("products", self.products), ("large", self.large)):
            say(f"new pictures: {kind}")
            some = made.Pictures(self.origin, [self.folder / name for name in names])
            outputs = self.work / "outputs" / kind
            self.result["made"][kind] = made.turns(asked, some, self.extent.made_rounds, outputs)

    def stored(
        self, cloud: System, stack: Stack, peers: dict[str, tuple[str, tuple[str, ...]]]
    ) -> None:
        """Measure what is on disk, beside bare nginx, at 70 %, and beside other work."""
        say("stored pictures")
        url = self.urls(self.products)[0]
        thumbnail, resized = cloud.thumbnail(url, 200), cloud.thumbnail(url, 300)
        pull([thumbnail, resized] * 8, cloud.headers)
        self.copy(stack, url)
        cases = {
            f"{CLOUD}: thumbnail": (thumbnail, cloud.headers),
            f"{CLOUD}: get_image resized": (resized, cloud.headers),
            f"{CLOUD}: companion size": (cloud.thumbnail(url, 250), cloud.headers),
            **peers,
        }
        self.result["stored"] = stored.against_bare(
            cases, f"{self.origin}/stored/thumbnail.jpg", self.extent.rounds, self.extent.seconds
        )
        address = f"{stack.url}/get_image?url={url}"
        self.result["original"] = stored.against_bare(
            {CLOUD: (address, cloud.headers)}, url, self.extent.rounds, self.extent.seconds
        )
        full = self.result["stored"][f"{CLOUD}: thumbnail"]["per_s"]
        self.result["latency"] = stored.latency(
            thumbnail, cloud.headers, full, 2 * self.extent.seconds
        )
        say("mixed load")
        # A shop that may hold so many is the operator's choice; the default is 8.
        limits = {"default": 8, stored.SLOW_ADDRESS: stored.HELD}
        (stack.home / "max_downloads.json").write_text(json.dumps(limits))
        hits = [cloud.thumbnail(one, 200) for one in self.urls(self.products)]
        pull(hits, cloud.headers)
        originals = [f"{stack.url}/get_image?url={one}" for one in self.urls(self.products)]
        self.result["mixed"] = stored.mixed(
            cloud, hits, originals, self.origin, self.extent.mixed_per_s, 3 * self.extent.seconds
        )

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
            stack, cloud, f"{self.origin}/stored/thumbnail.jpg",
            extent.growth, extent.rounds, extent.seconds, say,
        )  # fmt: skip

    def copy(self, stack: Stack, url: str) -> None:
        """Let bare nginx send the very file that ours sends."""
        from image_cloud.picture.key import fan_out, key_of

        key = key_of(url)
        target = self.bare_folder / "stored"
        target.mkdir(exist_ok=True)
        variant = stack.home / f"storage/variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg"
        shutil.copyfile(variant, target / "thumbnail.jpg")


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
        "--quick", action="store_true", help="few pictures, short rounds: under 3 minutes"
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
            run(bench, work, origin)
        for line in report.table(bench.result):
            print(line)
        report.write(bench.result, arguments.out)
    say(f"done in {time.monotonic() - began:.0f} s; chart and JSON are in {arguments.out}")


def run(bench: Bench, work: Path, origin: str) -> None:
    """Start every system, and measure them beside each other.

    What is stored comes first: making pictures is slower while the disk still knows what was just deleted,
    by the set-up for example (docs/performance.md).
    """
    with contextlib.ExitStack() as stack:
        thumbor = stack.enter_context(systems.thumbor(work))
        filtered = stack.enter_context(systems.image_filter(origin, work))
        cloud, node = stack.enter_context(systems.cloud(work / "home"))
        url = f"{origin}/{bench.products[0]}"
        stored_by: dict[str, tuple[str, tuple[str, ...]]] = {
            name: (system.thumbnail(url, 200), ())
            for name, system in ((THUMBOR, thumbor), (FILTER, filtered))
        }
        bench.stored(cloud, node, stored_by)
        with contextlib.ExitStack() as for_new:
            peers = [thumbor, filtered]
            if systems.has_ipx():
                peers.append(for_new.enter_context(systems.ipx(work)))
            bench.make(peers, cloud)
        for kind, names in (("products", bench.products), ("large", bench.large)):
            files = [bench.folder / name for name in names]
            bench.result["made"][kind][LOOP] = {"new": made.loop(files, made.SIZES["new"])}
        bench.hops(cloud, node)
        bench.growth(cloud, node)


if __name__ == "__main__":
    main()
