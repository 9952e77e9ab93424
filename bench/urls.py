"""What a URL of a batch costs the control pool, in microseconds of CPU: `python -m bench.urls`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ada_url

from image_cloud.config.sections import Download, Resize
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from image_cloud.politeness.limits import LimitsFile
from image_cloud.prefetch.body import MAX_URLS, Order
from image_cloud.prefetch.sorter import Sorter
from image_cloud.storage.folders import make_folders
from image_cloud.storage.store import Store

ROUNDS = 7
PARTS = ("hostname", "port", "pathname", "search")
SHOPS, HOSTS = 200, 50


def main() -> None:
    texts = [_text(number) for number in range(MAX_URLS)]
    print("| of a batch of 100,000 | us per URL |\n|---|---|")
    print(f"| parse | {cpu_us(lambda: [Url.parse(text) for text in texts]):.2f} |")
    print(f"| parse and hash | {cpu_us(lambda: [Url.parse(text).key for text in texts]):.2f} |")
    print(
        f"| parse, with the target | {cpu_us(lambda: [Url.parse(text).target for text in texts]):.2f} |"
    )
    print(f"| ada-url | {cpu_us(lambda: [ada_url.parse_url(text, PARTS) for text in texts]):.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        sorter = _sorter(Path(folder))
        print(f"| sort: nothing is here yet | {cpu_us(lambda: sorter.sort(Order(texts))):.2f} |")


def cpu_us(work: Callable[[], object]) -> float:
    """Return the CPU microseconds per URL of the quickest of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds) / MAX_URLS * 1e6


def _text(number: int) -> str:
    host = f"cdn{number % HOSTS}.shop{number % SHOPS}.example"
    return f"https://{host}/products/2024/{number:08}/front_view_large.jpg?w=1200&v={number}"


def _sorter(folder: Path) -> Sorter:
    make_folders(folder)
    limits = LimitsFile(folder / "max_downloads.json", folder / "last_good")
    return Sorter(Store.at(folder), Origin(Download()), limits, Resize())


if __name__ == "__main__":
    main()
