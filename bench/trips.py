"""What each kind of request asks of the storage, where that is a network file system: a request of FUSE is a trip.

.venv/bin/python -m bench.trips [--pictures 20] [-o MOUNT_OPTION]...

One node has its originals on a folder that bindfs serves and lists the requests of; its variants are on a local
disk.  bindfs answers from local files, so only the counts mean anything.  What a node that has nothing to do asks
for is measured first, and left out.
"""

from __future__ import annotations

import argparse
import collections
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.cluster.fuse import Served, why_not
from tests.frontdoor.client import get, jpeg
from tests.origin import Origin
from tests.stack.running import Stack

OPCODE = re.compile(rb"opcode: ([A-Z_]+)")
IDLE_S, SETTLE_S = 10.0, 3.0  # rows are recorded behind the answer
SETTINGS = {
    "download.allow_networks": "127.0.0.0/8",
    "cluster.shared_storage": "true",
    "janitor.audit_pause": "1 h",
    "janitor.interval": "1 h",
    "pools.fetch_workers": "1",
    "pools.front_workers": "1",
}
Counts = collections.Counter[str]
Ask = Callable[[str], requests.Response]


class Trips:
    """Counts the requests in bindfs's log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._idle: Counts = collections.Counter()

    def measure_idle(self) -> None:
        """Learn what is asked for anyway."""
        time.sleep(SETTLE_S)
        before = self._all()
        time.sleep(IDLE_S)
        self._idle = self._all() - before

    def per_call(self, call: Callable[[str], object], urls: list[str]) -> dict[str, float]:
        """Return the requests that one of these calls causes, by kind."""
        before, began = self._all(), time.monotonic()
        for url in urls:
            call(url)
        time.sleep(SETTLE_S)
        share = (time.monotonic() - began) / IDLE_S
        found = self._all() - before
        counts = {kind: (found[kind] - share * self._idle[kind]) / len(urls) for kind in found}
        return {kind: count for kind, count in counts.items() if count >= 0.05}

    def _all(self) -> Counts:
        return collections.Counter(one.decode() for one in OPCODE.findall(self._log.read_bytes()))


def kinds(stack: Stack) -> list[tuple[str, Ask]]:
    """Return what is asked for in turn: each picture by each of these."""

    def image(url: str) -> requests.Response:
        return get(stack, "/get_image", url=url)

    def thumbnail(url: str, size: int = 200) -> requests.Response:
        return get(stack, "/get_thumbnail", url=url, size=size)

    return [
        ("new thumbnail of a new picture", thumbnail),
        ("hit of a thumbnail", thumbnail),
        ("hit of an original", image),
        ("the same at once once more", image),
        (
            "new thumbnail of a stored one",
            lambda url: get(stack, "/get_image", url=url, resize_width=90),
        ),
        ("delete", lambda url: get(stack, "/delete_image", "DELETE", url=url)),
        ("new original", image),
    ]


def measured(pictures: int, options: list[str]) -> list[tuple[str, dict[str, float]]]:
    """Return each kind of request with its trips."""
    with tempfile.TemporaryDirectory(prefix="ic-trips-") as name, Origin() as origin:
        folder = Path(name)
        folder.chmod(0o755)
        own = {"storage.path": folder / "storage", "storage.variants_path": folder / "near"}
        settings = ";".join(f"{option}={value}" for option, value in {**SETTINGS, **own}.items())
        storage = Served(folder / "behind", folder / "storage", log=folder / "log", options=options)
        with storage, Stack(folder / "home", settings=settings) as stack:
            trips = Trips(folder / "log")
            trips.measure_idle()
            urls = [origin.serve(f"/{n}.jpg", jpeg(640, 480, seed=n)) for n in range(pictures)]
            return [(title, trips.per_call(ask, urls)) for title, ask in kinds(stack)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("-o", action="append", default=[], help="an option of the mount")
    arguments = parser.parse_args()
    if reason := why_not():
        raise SystemExit(reason)
    for title, counts in measured(arguments.pictures, arguments.o):
        parts = ", ".join(f"{kind} {count:.1f}" for kind, count in sorted(counts.items()))
        print(f"| {title} | {sum(counts.values()):.1f} | {parts} |", flush=True)


if __name__ == "__main__":
    main()
