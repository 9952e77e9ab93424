"""The guarded download by itself: CPU of one picture, without disk, gate and database.

.venv/bin/python -m bench.download
"""

from __future__ import annotations

import contextlib
import ipaddress
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire

SIZES_BYTES = (20_000, 220_000, 2_000_000)
DOWNLOADS, ROUNDS = 400, 7


def serve(ready: Connection) -> None:
    """Answer until the other end is closed; `/once/...` closes each connection."""
    with wire.Origin() as server:
        for size_bytes in SIZES_BYTES:
            body = bytes(size_bytes)
            server.serve(f"/kept/{size_bytes}", body)
            once = wire.raw(wire.head(200, {"Content-Length": str(size_bytes)}) + body)
            server.behave(f"/once/{size_bytes}", once)
        ready.send(server.url())
        with contextlib.suppress(EOFError):
            ready.recv()


@contextlib.contextmanager
def started() -> Iterator[str]:
    """Run the origin in a process of its own, so that its CPU is not counted; give its URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=[theirs])
    process.start()
    theirs.close()
    yield ours.recv()
    ours.close()
    process.join()


def cpu_ms(client: Origin, url: Url) -> float:
    """Return the CPU milliseconds of one download, the median of some rounds."""

    def once() -> float:
        began = time.process_time()
        for _ in range(DOWNLOADS):
            client.download(url, lambda _block: None)
        return (time.process_time() - began) / DOWNLOADS * 1000

    return statistics.median(once() for _ in range(ROUNDS))


def main() -> None:
    settings = Download(allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    print("| picture | on a kept connection | on a new one |\n|---|---|---|")
    with started() as base:
        for size_bytes in SIZES_BYTES:
            client = Origin(settings)
            cells = [
                f"{cpu_ms(client, Url.parse(f'{base}{kind}/{size_bytes}')):.2f} ms"
                for kind in ("kept", "once")
            ]
            print(f"| {size_bytes / 1000:,.0f} kB | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
