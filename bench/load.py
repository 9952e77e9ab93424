"""Load: wrk for what is stored, a few threads for what has to be made."""

from __future__ import annotations

import http.client
import json
import math
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

CONNECTIONS = 32
REPORT = """
done = function(summary, latency, requests)
    io.write(string.format('{"requests": %d, "us": %d, "errors": %d, "p50": %d, "p99": %d, "p999": %d}\\n',
        summary.requests, summary.duration,
        summary.errors.status + summary.errors.timeout + summary.errors.read,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


T = TypeVar("T")


def in_order(systems: Sequence[T], number: int) -> list[T]:
    """Return who comes when in round `number`.

    Over 2 * n rounds each of n comes in every place, and before each neighbour as often as after it: a turn
    leaves behind warm caches and pages that are still to be written.
    """
    first = number // 2 % len(systems)
    order = [*systems[first:], *systems[:first]]
    return order[::-1] if number % 2 else order


def wrk(
    addresses: Sequence[str],
    headers: Sequence[str],
    seconds: float,
    per_s: float = 0,
    connections: int = CONNECTIONS,
    threads: int = 1,
) -> dict[str, float]:
    """Ask for `addresses` at random, as fast as it goes or about `per_s`; return what wrk saw.

    Times are microseconds.  Raises RuntimeError where answers were errors.
    """
    targets = [a.split("/", 3)[3] for a in addresses]
    script = REPORT
    if len(targets) > 1:
        listed = ",".join(f"'/{target}'" for target in targets)
        script += f"local t={{{listed}}}\n"
        script += "request = function() return wrk.format('GET', t[math.random(#t)]) end\n"
    if per_s:
        delay_ms = connections * 1000 / per_s
        script += f"delay = function() return math.random({max(1, round(2 * delay_ms) - 1)}) end\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        options = [part for header in headers for part in ("-H", header)]
        command = [
            "wrk",
            f"-c{connections}",
            f"-t{threads}",
            f"-d{math.ceil(seconds)}",
            "--latency",
            "-s",
            file.name,
        ]
        said = _said([*command, *options, addresses[0]], seconds)
    found = re.search(r"^\{.*\}$", said, re.MULTILINE)
    if not found:
        raise RuntimeError(said)
    seen: dict[str, float] = json.loads(found[0])
    if seen["errors"]:
        raise RuntimeError(f"{addresses[0]}: {seen['errors']:.0f} errors in {seen['requests']:.0f}")
    return seen | {"per_s": seen["requests"] / seen["us"] * 1e6}


def _said(command: list[str], seconds: float) -> str:
    """Return what wrk prints; it knows whole seconds alone, and ends at SIGINT before."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        if seconds != int(seconds):
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
        return process.communicate()[0]


def pull(
    addresses: Sequence[str], headers: Sequence[str], parallel: int = 4, keep: Path | None = None
) -> float:
    """Ask for every address once; return the seconds it took.  `keep` is where the bodies go."""
    work, failures = iter(list(enumerate(addresses))), list[str]()
    mutex = threading.Lock()
    named = dict(header.split(": ", 1) for header in headers)

    def run() -> None:
        connection = http.client.HTTPConnection(urlsplit(addresses[0]).netloc, timeout=120)
        while True:
            with mutex:
                number, address = next(work, (-1, ""))
            if number < 0:
                return
            connection.request("GET", "/" + address.split("/", 3)[3], headers=named)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                failures.append(f"{address}: {answer.status} {body[:200]!r}")
            elif keep:
                (keep / f"{number}.jpg").write_bytes(body)

    threads = [threading.Thread(target=run) for _ in range(parallel)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(failures)} failed, among them {failures[0]}")
    return time.monotonic() - began
