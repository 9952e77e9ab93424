"""Stored pictures: requests a second beside bare nginx, latency, a mixed load, and growth."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import statistics
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import requests

from bench.load import in_order, pull, wrk
from bench.systems import BARE, System
from image_cloud.picture.key import fan_out, key_of
from tests import origin as behave
from tests.stack.running import Stack

SLOW_ADDRESS, HELD = "127.0.0.2", 50
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Asked:
    """Addresses of stored pictures, asked for at random, and the headers that go with it."""

    addresses: Sequence[str]
    headers: Sequence[str] = ()


def against_bare(
    cases: dict[str, Asked], bare: Asked, rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Return rate and ratio to `bare` (medians over rounds in which all take turns)."""
    rates = in_turn({BARE: bare, **cases}, rounds, seconds)
    return {
        name: {
            "per_s": statistics.median(values),
            "ratio": statistics.median(a / b for a, b in zip(values, rates[BARE], strict=True)),
        }
        for name, values in rates.items()
    }


def in_turn(cases: dict[str, Asked], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return each case's requests a second in every round; each round has another order."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in in_order(list(cases), number):
            asked = cases[name]
            rates[name].append(wrk(asked.addresses, asked.headers, seconds)["per_s"])
    return rates


def latency(asked: Asked, full_per_s: float, seconds: float) -> dict[str, float]:
    """Return p50, p99 and p99.9 (ms) at 70 % of the full rate."""
    per_s = 0.7 * full_per_s
    seen = wrk(asked.addresses, asked.headers, seconds, per_s=per_s, connections=200)
    return {"per_s": seen["per_s"]} | {
        f"{name}_ms": seen[name] / 1000 for name in ("p50", "p99", "p999")
    }


def mixed(
    cloud: System, hits: list[str], originals: list[str], origin: str, per_s: float, seconds: float
) -> dict[str, float]:
    """Return the rate of hits alone, and beside originals, new pictures and 50 slow downloads."""
    alone = wrk(hits, cloud.headers, seconds, per_s=per_s * 0.95, connections=64)
    stop, made = threading.Event(), [0]

    def new() -> None:
        # One after the other: what comes late is not made up for.
        while not stop.wait(1 / (per_s * 0.01)):
            made[0] += 1
            name = f"{origin}/p{made[0] % 30:03d}.jpg?mixed={made[0]}-{os.getpid()}"
            pull([cloud.thumbnail(name, 200)], cloud.headers, parallel=1)

    with behave.Origin(address=SLOW_ADDRESS) as slow:
        held = [
            threading.Thread(target=_hold, args=(cloud, slow.behave(f"/{n}", behave.silent)))
            for n in range(HELD)
        ]
        side = threading.Thread(
            target=lambda: wrk(originals, cloud.headers, seconds, per_s=per_s * 0.04, connections=8)
        )
        making = threading.Thread(target=new)
        for thread in (*held, side, making):
            thread.start()
        beside = wrk(hits, cloud.headers, seconds, per_s=per_s * 0.95, connections=64)
        stop.set()
        for thread in (side, making):
            thread.join()
    for thread in held:
        thread.join()
    return {
        "alone_per_s": alone["per_s"],
        "mixed_per_s": beside["per_s"],
        "new": made[0],
        "ratio": beside["per_s"] / alone["per_s"],
        "alone_p99_ms": alone["p99"] / 1000,
        "mixed_p99_ms": beside["p99"] / 1000,
    }


def _hold(cloud: System, url: str) -> None:
    requests.get(
        cloud.thumbnail(url, 200),
        headers=dict(h.split(": ", 1) for h in cloud.headers),
        timeout=120,
    )


def growth(
    stack: Stack,
    cloud: System,
    bare: str,
    counts: tuple[int, int],
    rounds: int,
    seconds: float,
    say: Say,
) -> dict[str, float]:
    """Return the rate of hits, spread over all, with few and with many small variants stored.

    `ratio` compares what each is of bare nginx's rate in the same minute: storing a million takes
    long, and the machine is never the same.
    """
    source = next(
        (stack.home / "storage/variants").glob("??/??/*/200x200-fit-q85.jpg")
    ).read_bytes()[:1500]
    rates, ratios, stored = [], [], 0
    for count in counts:
        say(f"storing {count} variants")
        _store_all(stack.home / "storage", range(stored, count), source)
        stored = count
        some = [
            f"{stack.url}/get_thumbnail?size=200&url={quote(f'http://growth/{n}.jpg', '/:')}"
            for n in range(0, count, max(1, count // 5000))
        ]
        wrk(some, cloud.headers, seconds)  # the disk's caches are warm, as in all other rounds
        pairs = [
            (wrk(some, cloud.headers, seconds)["per_s"], wrk([bare], (), seconds)["per_s"])
            for _ in range(rounds)
        ]
        rates.append(statistics.median(ours for ours, _ in pairs))
        ratios.append(statistics.median(ours / theirs for ours, theirs in pairs))
    return {
        "few_per_s": rates[0],
        "many_per_s": rates[1],
        "few": counts[0],
        "many": counts[1],
        "ratio": ratios[1] / ratios[0],
    }


def _store_all(storage: Path, numbers: range, content: bytes) -> None:
    """Store a variant for each number, in two processes."""
    running = [
        multiprocessing.Process(target=_store_some, args=(storage, numbers[half::2], content))
        for half in (0, 1)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
        if process.exitcode:
            raise RuntimeError("the variants could not be stored")


def _store_some(storage: Path, numbers: range, content: bytes) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.umask(0o002)
    for number in numbers:
        key = key_of(f"http://growth/{number}.jpg")
        folder = f"{storage}/variants/{fan_out(key)}/{key}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/200x200-fit-q85.jpg", "wb", buffering=0) as file:
            file.write(content)
