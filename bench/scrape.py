"""What a scrape of a busy node costs: `python -m bench.scrape`.

Twelve processes have counted, one of them requests on 8 routes by 10 clients; then their files are added up and
written as text, and at last merged as those of processes that ended.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from image_cloud.metrics import definitions, exposition
from image_cloud.metrics.client import FOLDER
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.metrics.requests import Answered, RequestCounter

PROCESSES, SCRAPES = 12, 20
ROUTES = (
    "get_image",
    "get_thumbnail",
    "metrics",
    "node_status",
    "changes",
    "ready",
    "domains",
    "history",
)
CACHES, STATUSES = ("HIT", "MISS", "RESIZED", "PEER", ""), (200, 404, 502, 503)


def count(number: int) -> None:
    """Count what one process of a busy node does."""
    if number == 0:
        counter = RequestCounter()
        for route, cache, status, client in itertools.product(ROUTES, CACHES, STATUSES, range(10)):
            counter.count(Answered(f"/{route}", status, 0.01, 100, cache, f"client-{client}"))
    for ends in (definitions.DOWNLOADS, definitions.RESIZES, definitions.CLONES):
        for labels in ends.known:
            ends.add(*labels)
    for seconds in (
        definitions.DOWNLOAD_SECONDS,
        definitions.RESIZE_SECONDS,
        definitions.CLONE_SECONDS,
    ):
        seconds.observe(0.1)


@contextlib.contextmanager
def counting(folder: str) -> Iterator[None]:
    """Have processes that count live in the block."""
    command = [sys.executable, "-m", "bench.scrape"]
    with contextlib.ExitStack() as running:
        for number in range(PROCESSES):
            environment = os.environ | {FOLDER: folder}
            process = subprocess.Popen(
                [*command, str(number)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            running.callback(process.communicate)
            assert process.stdout
            process.stdout.readline()
        yield


def main() -> None:
    """Measure, and print a line for each part."""
    with tempfile.TemporaryDirectory() as folder:
        files = ProcessFiles(Path(folder))
        with counting(folder):
            began = time.process_time()
            for _ in range(SCRAPES):
                values = files.values()
                text = exposition.text(definitions.all_definitions(), values, {})
            each_ms = 1000 * (time.process_time() - began) / SCRAPES
        print(f"a scrape: {each_ms:.0f} ms of CPU, {len(values)} counted series, {len(text)} bytes")
        began = time.process_time()
        merged = files.merge_ended()
        print(f"a merge of {merged} files: {1000 * (time.process_time() - began):.0f} ms of CPU")


if __name__ == "__main__":
    if sys.argv[1:]:
        count(int(sys.argv[1]))
        print("counted", flush=True)
        sys.stdin.read()
    else:
        main()
