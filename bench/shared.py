"""A node whose originals are on GlusterFS beside one with all on its own disk, in turns in one run.

.venv/bin/python -m bench.shared [--pictures 40] [--rounds 4] [--seconds 2] [-o --entry-timeout=0]...

The volume is a real one, replica 3, its three bricks on this machine in network namespaces of their own: what the
nodes, the volume and the load take of the processors, they take from each other.  Needs root and glusterfs-server.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from bench.load import in_order, wrk
from tests.frontdoor.client import get, jpeg
from tests.origin import Origin
from tests.shared_storage.volume import Volume, why_not
from tests.stack.running import Stack

SETTINGS = {
    "download.allow_networks": "127.0.0.0/8",
    "pools.front_workers": "1",
    "pools.fetch_workers": "1",
}
KINDS = {"thumbnails": "/get_thumbnail", "originals": "/get_image"}
LOCAL, SHARED = "own disk", "GlusterFS"
VERDICT_S = 1.0
Rates = dict[str, list[float]]


@contextlib.contextmanager
def nodes(options: list[str]) -> Iterator[dict[str, Stack]]:
    """Give a node of each kind."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as name, Volume() as volume:
        folder = Path(name)
        folder.chmod(0o755)
        mount = volume.mount("bench", *options)
        shared = {
            "storage.path": mount.path / "storage",
            "storage.variants_path": folder / "shared-variants",
            "cluster.shared_storage": "true",
        }
        with (
            Stack(folder / "own", settings=_text(SETTINGS)) as own,
            Stack(folder / "shared", settings=_text({**SETTINGS, **shared})) as far,
        ):
            yield {LOCAL: own, SHARED: far}


def _text(settings: Mapping[str, object]) -> str:
    return ";".join(f"{option}={value}" for option, value in settings.items())


def new_thumbnails(stacks: dict[str, Stack], origin: Origin, pictures: int) -> Rates:
    """Return how long each new thumbnail took, milliseconds: one after another, in turns."""
    times: Rates = {name: [] for name in stacks}
    for number in range(pictures):
        for name, stack in in_order(list(stacks.items()), number):
            url = origin.serve(f"/{name.split()[0]}/{number}.jpg", jpeg(1200, 900, seed=number))
            began = time.monotonic()
            assert get(stack, "/get_thumbnail", url=url).status_code == 200
            times[name].append(1000 * (time.monotonic() - began))
    return times


def hits(
    stacks: dict[str, Stack], origin: Origin, kind: str, pictures: int, rounds: int, seconds: float
) -> Rates:
    """Return the rates of hits, a second."""
    urls = [
        origin.serve(f"/{kind}/{number}.jpg", jpeg(640, 480, seed=number))
        for number in range(pictures)
    ]
    for stack in stacks.values():
        for url in urls:
            assert get(stack, KINDS[kind], url=url).status_code == 200
    time.sleep(VERDICT_S)
    rates: Rates = {name: [] for name in stacks}
    for number in range(rounds):
        for name, stack in in_order(list(stacks.items()), number):
            addresses = [f"{stack.url}{KINDS[kind]}?url={quote(url, safe='')}" for url in urls]
            seen = wrk(addresses, [f"X-Image-Cloud-Token: {stack.token}"], seconds)
            rates[name].append(seen["per_s"])
    return rates


def show(title: str, found: Rates) -> None:
    """Print the medians and what the second is of the first."""
    own, far = (statistics.median(found[name]) for name in (LOCAL, SHARED))
    print(f"| {title} | {own:,.0f} | {far:,.0f} | {far / own:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("-o", action="append", default=[], help="an option of glusterfs(8)")
    asked = parser.parse_args()
    if reason := why_not():
        raise SystemExit(reason)
    with nodes(asked.o) as stacks, Origin() as origin:
        print(f"| | {LOCAL} | {SHARED} | ratio |\n|---|---|---|---|")
        show("new thumbnails, ms (p50)", new_thumbnails(stacks, origin, asked.pictures))
        for kind in KINDS:
            found = hits(stacks, origin, kind, asked.pictures, asked.rounds, asked.seconds)
            show(f"hits of {kind}, a second", found)


if __name__ == "__main__":
    main()
