"""Slow shops: many clients at 100 domains whose origins take 0.3 s to 10 s, beside what is possible at best.

python -m bench.slow [--clients 8,64,256,1000] [--seconds 40] [--originals]

Possible at best: each domain's slots always at work, first come, first served, and no time but the origin's.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import concurrent.futures
import dataclasses
import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bench import procs
from bench.load import in_order
from bench.systems import CLOUD, System, cloud
from tests.frontdoor.client import jpeg
from tests.stack.running import Stack, free_port

DOMAINS, SLOTS = 100, 8
FASTEST_S, SLOWEST_S = 0.3, 10.0
HIT_EVERY_S = 0.01
SPAWN = multiprocessing.get_context("spawn")
PATIENCE_S = 120.0
BROKEN = (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError)
"""What a server does that has too many clients, the lack of a length included."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


def host_of(domain: int) -> str:
    """Return the address of one shop."""
    return f"127.9.{domain // 100}.{domain % 100 + 1}"


def delay_s(domain: int) -> float:
    """Return how long a shop takes: as many take 0.3 to 0.6 s as take 5 to 10 s."""
    return FASTEST_S * float((SLOWEST_S / FASTEST_S) ** (domain / (DOMAINS - 1)))


async def serve(port: int, picture: Path) -> None:
    """Be all shops; which one is asked says the address that a connection came to."""
    body = picture.read_bytes()
    delays = {host_of(domain): delay_s(domain) for domain in range(DOMAINS)}
    answer = HEAD % len(body) + body

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(delays[writer.get_extra_info("sockname")[0]])
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "0.0.0.0", port, backlog=4096)
    await server.serve_forever()


@dataclasses.dataclass
class Seen:
    """What the clients saw: statuses, seconds of good answers by domain, and seconds of hits.

    nginx alone sends a stored thumbnail (`hits`), front looks for an original (`front_hits`).
    """

    statuses: collections.Counter[int]
    good: list[tuple[int, float]]
    hits: list[float]
    front_hits: list[float]


class Clients:
    """Ask a stack, each one request after the other, until `until_s`."""

    def __init__(self, system: System, port: int, turn: str, *, originals: bool) -> None:
        self._system = system
        self._address, _, self._port = system.thumbnail("", 200).split("/")[2].partition(":")
        self._headers = "".join(f"{header}\r\n" for header in system.headers)
        self._origin_port, self._turn, self._originals = port, turn, originals
        self.seen = Seen(collections.Counter(), [], [], [])
        self.until_s = 0.0

    async def run(self, count: int, seconds: float, *, hits: bool = True) -> None:
        """Run `count` of them, and one that asks for a hit every 10 ms."""
        self.until_s = time.monotonic() + seconds
        beside = [self._hits(seconds)] if hits else []
        await asyncio.gather(*beside, *(self._client(number) for number in range(count)))

    async def _client(self, number: int) -> None:
        turn = 0
        while time.monotonic() < self.until_s:
            try:
                reader, writer = await asyncio.open_connection(self._address, int(self._port))
                while time.monotonic() < self.until_s:
                    turn += 1
                    await self._once(reader, writer, number, turn)
                writer.close()
            except BROKEN:
                self.seen.statuses[0] += 1
                await asyncio.sleep(HIT_EVERY_S)

    async def _once(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, turn: int
    ) -> None:
        began, domain = time.monotonic(), number % DOMAINS
        name = f"{self._turn}-{number}-{turn}"
        status = await self.ask(reader, writer, domain, name)
        self.seen.statuses[status] += 1
        if status == 200:
            self.seen.good.append((domain, time.monotonic() - began))

    async def _hits(self, seconds: float) -> None:
        """Have a process of its own ask for hits: this one is busy with the others' answers."""
        targets = [self.target(0, "hit", originals=originals) for originals in (False, True)]
        headers = dict(header.split(": ", 1) for header in self._headers.split("\r\n") if header)
        host = f"{self._address}:{self._port}"
        with concurrent.futures.ProcessPoolExecutor(1, SPAWN) as other:
            running = other.submit(ask_for_hits, host, targets, headers, seconds)
            self.seen.hits, self.seen.front_hits = await asyncio.wrap_future(running)

    def target(self, domain: int, name: str, *, originals: bool) -> str:
        """Return what stands in the request line."""
        url = f"http://{host_of(domain)}:{self._origin_port}/{name}.jpg"
        if originals:
            return f"/get_image?url={quote(url, '/:')}"
        return "/" + self._system.thumbnail(url, 200).split("/", 3)[3]

    async def ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        domain: int,
        name: str,
    ) -> int:
        """Return the status of one request."""
        target = self.target(domain, name, originals=self._originals)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n{self._headers}\r\n".encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r", 1)[0])
        await reader.readexactly(length)
        return int(head.split()[1])


def ask_for_hits(
    host: str, targets: list[str], headers: dict[str, str], seconds: float
) -> list[list[float]]:
    """Ask for each of `targets` every 10 ms, the first time unmeasured; return the seconds of each."""
    connection, took = http.client.HTTPConnection(host), [list[float]() for _ in targets]
    until_s, is_first = time.monotonic() + seconds, True
    while is_first or time.monotonic() < until_s:
        for target, times in zip(targets, took, strict=True):
            began = time.monotonic()
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            if not is_first:
                times.append(time.monotonic() - began)
        is_first = False
        time.sleep(HIT_EVERY_S)
    return took


def ideal(count: int) -> tuple[dict[int, float], float]:
    """Return the seconds that a request to each domain takes at best, and all good answers a second."""
    each = collections.Counter(number % DOMAINS for number in range(count))
    waits = {domain: max(1.0, clients / SLOTS) for domain, clients in each.items()}
    rate = sum(min(clients, SLOTS) / delay_s(domain) for domain, clients in each.items())
    return {domain: wait * delay_s(domain) for domain, wait in waits.items()}, rate


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed, 0 where there is none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def report(seen: Seen, count: int, seconds: float) -> dict[str, float]:
    """Return the figures of one run; at best: for the same mix of domains."""
    best, rate = ideal(count)
    took, at_best = [s for _, s in seen.good], [best[domain] for domain, _ in seen.good]
    return {
        "clients": count,
        "good_per_s": len(took) / seconds,
        "best_per_s": rate,
        "p50_s": percentile(took, 0.5),
        "best_p50_s": percentile(at_best, 0.5),
        "p99_s": percentile(took, 0.99),
        "best_p99_s": percentile(at_best, 0.99),
        "refused": seen.statuses[503],
        "failed": seen.statuses.total() - seen.statuses[200] - seen.statuses[503],
        "hit_p50_ms": 1000 * statistics.median(seen.hits or [0.0]),
        "hit_p99_ms": 1000 * percentile(seen.hits, 0.99),
        "front_hit_p50_ms": 1000 * percentile(seen.front_hits, 0.5),
        "front_hit_p99_ms": 1000 * percentile(seen.front_hits, 0.99),
    }


async def measure(
    system: System, stack: Stack, port: int, counts: list[int], arguments: argparse.Namespace
) -> list[dict[str, float]]:
    """Run each number of clients in turn, none first: hits by themselves."""
    rows = []
    for count in [0, *counts]:
        clients = Clients(system, port, f"{time.time_ns()}", originals=arguments.originals)
        seconds = arguments.seconds if count else 5.0
        run = asyncio.create_task(clients.run(count, seconds))
        await asyncio.sleep(seconds * 0.8)
        pids = procs.family(stack.pid("image-cloud-fetch"))
        memory_mb, threads = procs.memory_mb(pids), sum(procs.threads(pid) for pid in pids)
        await run
        row = report(clients.seen, count, seconds)
        rows.append(row | {"fetch_memory_mb": memory_mb, "fetch_threads": threads})
        print(line(rows[-1]), flush=True)
        if row["failed"]:
            print(f"statuses: {dict(clients.seen.statuses)}", file=sys.stderr)
    return rows


def beside(
    systems: Sequence[System], work: Path, counts: Sequence[int], seconds: float
) -> dict[str, list[dict[str, float]]]:
    """Run each number of clients with each system in turn; hits beside them at Image Cloud alone."""
    port, picture = free_port(), work / "slow.jpg"
    picture.write_bytes(jpeg(800, 600))
    rows: dict[str, list[dict[str, float]]] = {system.name: [] for system in systems}
    with procs.started(shops(port, picture), port, work / "slow.log"):
        for number, count in enumerate(counts):
            for system in in_order(systems, number):
                clients = Clients(system, port, f"{time.time_ns()}", originals=False)
                asyncio.run(clients.run(count, seconds, hits=system.name == CLOUD))
                rows[system.name].append(report(clients.seen, count, seconds))
    return rows


def shops(port: int, picture: Path) -> list[str]:
    """Return the command that serves `picture` as all shops."""
    return [sys.executable, "-m", "bench.slow", "--serve", str(port), str(picture)]


def line(row: dict[str, float]) -> str:
    """Return one row of the table, in Markdown."""
    return (
        f"| {row['clients']:.0f} | {row['good_per_s']:.0f} ({row['best_per_s']:.0f})"
        f" | {row['p50_s']:.1f} ({row['best_p50_s']:.1f}) | {row['p99_s']:.1f} ({row['best_p99_s']:.1f})"
        f" | {row['refused']:.0f} | {row['failed']:.0f} | {row['hit_p50_ms']:.1f}, {row['hit_p99_ms']:.0f}"
        f" | {row['front_hit_p50_ms']:.1f}, {row['front_hit_p99_ms']:.0f}"
        f" | {row['fetch_threads']:.0f}, {row['fetch_memory_mb']:.0f} |"
    )


TITLES = """\
| clients | good answers/s (at best) | p50, s | p99, s | refused | failed | hits: p50, p99, ms | front's | fetch: threads, MB |
|---|---|---|---|---|---|---|---|---|"""


def run(counts: list[int], arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Start shops and a stack, measure, and stop them."""
    with tempfile.TemporaryDirectory(prefix="image-cloud-") as name:
        work, port = Path(name), free_port()
        work.chmod(0o755)
        (work / "a.jpg").write_bytes(jpeg(800, 600))
        with (
            procs.started(shops(port, work / "a.jpg"), port, work / "log"),
            cloud(work / "home", arguments.settings, arguments.checkout) as (system, stack),
        ):
            print(TITLES)
            return asyncio.run(measure(system, stack, port, counts, arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", default="8,64,256,1000")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--originals", action="store_true", help="no thumbnails")
    parser.add_argument("--settings", default="", help="section.option=value;... of the stack")
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Measure, or be the shops."""
    arguments = parser().parse_args()
    if arguments.serve:
        asyncio.run(serve(int(arguments.serve[0]), Path(arguments.serve[1])))
        return
    rows = run([int(count) for count in arguments.clients.split(",")], arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
