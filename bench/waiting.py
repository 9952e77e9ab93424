"""How to wait for 1,000 slow downloads: many threads, more processes, or an event loop, all under gunicorn.

python -m bench.waiting [--clients 1000] [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import procs, slow
from tests.frontdoor.client import jpeg
from tests.stack.running import CHECKOUT, free_port

SHOP = 66  # takes 3.1 s
KEEPING = "falcon_app.keeping_worker.KeepingWorker"
WAYS = {
    "threads: 2 processes of 1,000": ("threaded", KEEPING, 2, 1000),
    "processes: 64 of 16 threads": ("threaded", KEEPING, 64, 16),
    "event loop: 2 processes, files written in it": ("looping", "asgi", 2, 1),
    "event loop: 2 processes, files written in threads": ("looping", "asgi", 2, 1),
}
TITLES = """\
| way | answers/s | p50, s | p99, s | failed | CPU, ms each | at rest, MB | under load, MB |
|---|---|---|---|---|---|---|---|"""


@contextlib.contextmanager
def pool(way: str, work: Path, origin: str) -> Iterator[tuple[Path, int]]:
    """Run the server; give its socket and its process id."""
    app, worker, workers, threads = WAYS[way]
    path = work / "pool.sock"
    environment = os.environ | {"BENCH_ORIGIN": origin, "BENCH_FOLDER": str(work / "files")}
    environment["BENCH_FILES_IN_THREADS"] = "1" if "in threads" in way else ""
    command = [sys.executable, "-m", "gunicorn", "--preload", "--bind", f"unix:{path}"]
    command += ["--worker-class", worker, "--workers", str(workers), "--threads", str(threads)]
    most = threads + 1 if app == "threaded" else 1000  # what a process takes on at once
    command += ["--worker-connections", str(most), "--no-control-socket", "--log-level", "error"]
    server = subprocess.Popen(
        [*command, f"bench.waiting_apps:{app}"], cwd=CHECKOUT, env=environment
    )
    try:
        deadline = time.monotonic() + procs.PATIENCE_S
        while not path.exists() or len(procs.family(server.pid)) <= workers:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(2.0)  # for 64 of them
        yield path, server.pid
    finally:
        server.terminate()
        server.wait(60)
        path.unlink(missing_ok=True)


async def client(path: Path, until_s: float, took: list[float], failed: list[str]) -> None:
    """Ask again and again, on a new connection each time as nginx does for most."""
    while (began := time.monotonic()) < until_s:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), slow.PATIENCE_S)
            writer.close()
        except (OSError, TimeoutError) as error:
            failed.append(type(error).__name__)
            await asyncio.sleep(0.1)
            continue
        if b" 200 " in answer[:20]:
            took.append(time.monotonic() - began)
        else:
            failed.append(answer[:20].decode(errors="replace"))


async def load(
    path: Path, pid: int, arguments: argparse.Namespace
) -> tuple[list[float], list[str], float]:
    """Run the clients; return their seconds and failures, and the server's megabytes meanwhile."""
    took, failed = list[float](), list[str]()
    until_s = time.monotonic() + arguments.seconds
    clients = [client(path, until_s, took, failed) for _ in range(arguments.clients)]
    running = asyncio.gather(*clients)
    await asyncio.sleep(arguments.seconds * 0.8)
    memory_mb = procs.memory_mb(procs.family(pid))
    await running
    return took, failed, memory_mb


def measure(way: str, work: Path, origin: str, arguments: argparse.Namespace) -> str:
    """Return one way's row of the table."""
    (work / "files").mkdir(exist_ok=True)
    with pool(way, work, origin) as (path, pid):
        rest_mb, before_s = procs.memory_mb(procs.family(pid)), procs.cpu_s(procs.family(pid))
        took, failed, load_mb = asyncio.run(load(path, pid, arguments))
        cpu_ms = 1000 * (procs.cpu_s(procs.family(pid)) - before_s) / max(1, len(took))
    for file in (work / "files").iterdir():
        file.unlink()
    rate = len(took) / arguments.seconds
    return (
        f"| {way} | {rate:.0f} | {slow.percentile(took, 0.5):.1f} | {slow.percentile(took, 0.99):.1f}"
        f" | {len(failed)} | {cpu_ms:.2f} | {rest_mb:.0f} | {load_mb:.0f} |"
    )


def main() -> None:
    """Run all ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="image-cloud-") as name:
        work, port = Path(name), free_port()
        (work / "a.jpg").write_bytes(jpeg(800, 600))
        shops = [sys.executable, "-m", "bench.slow", "--serve", str(port), str(work / "a.jpg")]
        with procs.started(shops, port, work / "log"):
            print(f"{arguments.clients} clients, an origin that takes {slow.delay_s(SHOP):.1f} s")
            print(TITLES)
            for way in WAYS:
                row = measure(way, work, f"{slow.host_of(SHOP)}:{port}", arguments)
                print(row, flush=True)


if __name__ == "__main__":
    main()
