"""How long a delete takes by itself, and while batches of 100,000 URLs come in.

.venv/bin/python -m bench.deletes [--deletes 100]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import requests

from bench import pictures, systems
from bench.__main__ import workplace
from bench.load import pull
from bench.prefetch import Cloud
from tests.stack.running import Stack

BATCHES, URLS = 3, 100_000
PRODUCTS = 30
QUIET, BESIDE = "by itself", f"beside {BATCHES} batches of {URLS:,} URLs"


class Deletes:
    """Stores pictures of `urls` again and again, and deletes them."""

    def __init__(self, stack: Stack, urls: list[str]) -> None:
        self._address, self._urls = stack.url, urls
        self._headers = (f"X-Image-Cloud-Token: {stack.token}",)
        self._session = requests.Session()
        self._session.headers["X-Image-Cloud-Token"] = stack.token

    def stored(self, count: int, turn: str) -> list[str]:
        """Have `count` pictures stored that were never asked for; return their URLs."""
        urls = [f"{self._urls[n % len(self._urls)]}?{turn}={n}" for n in range(count)]
        pull([f"{self._address}/get_image?url={quote(url, '')}" for url in urls], self._headers)
        return urls

    def ms(self, url: str) -> float:
        """Delete a picture; return the milliseconds that it took."""
        began = time.monotonic()
        answer = self._session.delete(
            f"{self._address}/delete_image", params={"url": url}, timeout=120
        )
        assert answer.status_code == 200, answer.text
        return (time.monotonic() - began) * 1000


@contextlib.contextmanager
def batches(cloud: Cloud) -> Iterator[threading.Event]:
    """Hand batches over, one after the other in each of three threads, until the block ends."""
    ended = threading.Event()

    def hand_over(number: int) -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            cloud.post(
                [f"http://shop{n % 5000}.invalid/{number}-{turn}-{n}.jpg" for n in range(URLS)]
            )

    threads = [threading.Thread(target=hand_over, args=(number,)) for number in range(BATCHES)]
    for thread in threads:
        thread.start()
    try:
        yield ended
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.deletes")
    parser.add_argument("--deletes", type=int, default=100)
    count: int = parser.parse_args().deletes
    with workplace() as work:
        names, _ = pictures.make(work / "pictures", PRODUCTS, 0)
        with (
            systems.files(work / "pictures", work) as (origin, _),
            systems.cloud(work / "home") as (_, stack),
        ):
            deletes = Deletes(stack, [f"{origin}/{name}" for name in names])
            took = {QUIET: [deletes.ms(url) for url in deletes.stored(count, "quiet")]}
            urls = deletes.stored(count, "beside")
            with batches(Cloud(stack)):
                took[BESIDE] = [deletes.ms(url) for url in urls]
    print("| a delete | p50, ms | p95, ms |\n|---|---|---|")
    for title, ms in took.items():
        print(f"| {title} | {statistics.median(ms):.0f} | {sorted(ms)[len(ms) * 95 // 100]:.0f} |")


if __name__ == "__main__":
    main()
