"""Stored thumbnails through the Python client, 10,000 pictures as for a feature extractor, beside wrk.

.venv/bin/python -m bench.client [--pictures 10000] [--workers 1,4,16] [--rounds 3] [--seconds 2]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from bench import systems
from bench.hits import make_pictures
from bench.load import pull, wrk
from image_cloud.client import Client

SIZE = 200


def rate(client: Client, urls: list[str], workers: int) -> tuple[float, float]:
    """Read all of `urls`; return pictures and CPU seconds of this process, both a second."""
    began, cpu = time.monotonic(), _cpu_s()
    for url, came in client.get_many(urls, workers, size=SIZE):
        if isinstance(came, Exception):
            raise RuntimeError(url) from came
    took = time.monotonic() - began
    return len(urls) / took, (_cpu_s() - cpu) / took


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.client")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--workers", default="1,4,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    workers = [int(number) for number in arguments.workers.split(",")]
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        (work / "pictures").mkdir()
        names = make_pictures(work / "pictures")
        with (
            systems.files(work / "pictures", work) as (origin, _),
            systems.cloud(work / "home") as (_, stack),
            Client([stack.url], stack.token) as client,
        ):
            headers = tuple(": ".join(pair) for pair in client.headers.items())
            addresses = [client.url(f"{origin}/{name}", SIZE) for name in names]
            pull(addresses, headers)
            urls = list(islice(cycle(f"{origin}/{name}" for name in names), arguments.pictures))
            print(
                "| workers | pictures/s | CPU of the client | of wrk's rate, as many connections |"
            )
            print("|---|---|---|---|")
            for count in workers:
                rounds = []
                for _ in range(arguments.rounds):
                    seen = wrk(addresses, headers, arguments.seconds, connections=count)
                    per_s, cpu = rate(client, urls, count)
                    rounds.append((per_s, cpu, per_s / seen["per_s"]))
                per_s, cpu, share = (statistics.median(one) for one in zip(*rounds, strict=True))
                print(f"| {count} | {per_s:.0f} | {cpu:.2f} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
