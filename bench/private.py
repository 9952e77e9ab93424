"""Stored thumbnails that shared caches may not keep: what it costs that nginx looks for them second.

.venv/bin/python -m bench.private
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import requests

from bench.load import in_order, wrk
from tests.frontdoor.client import jpeg
from tests.origin import Origin
from tests.stack.running import Stack

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.40"
PICTURES, ROUNDS, SECONDS = 50, 3, 4.0
SETTINGS = "download.allow_networks=127.0.0.0/8"
HEADERS = {PRIVATE: {"Authorization": "Basic eDp5", "credentials_over_http": True}}


@contextmanager
def started() -> Iterator[Stack]:
    """Give a stack that sends credentials to one of two origins."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as folder:
        home = Path(folder) / "home"
        with Stack(home, settings=SETTINGS) as stack:
            (home / "origins.json").write_text(json.dumps(HEADERS))
            yield stack


def thumbnails(stack: Stack, origin: Origin, odd: str = "") -> list[str]:
    """Return addresses of stored thumbnails; `odd` is a parameter that nginx leaves to the front pool."""
    urls = [origin.serve(f"/{number}.jpg", jpeg(seed=number)) for number in range(PICTURES)]
    return [f"{stack.url}/get_thumbnail?url={quote(url, safe='')}{odd}" for url in urls]


def main() -> None:
    with started() as stack, Origin(address=PUBLIC) as open_one, Origin(address=PRIVATE) as closed:
        token = {"X-Image-Cloud-Token": stack.token}
        systems = {
            "public, nginx alone": thumbnails(stack, open_one),
            "private, nginx alone": thumbnails(stack, closed),
            "private, through the front pool": thumbnails(stack, closed, "&%78=1"),
        }
        for title, addresses in systems.items():
            for address in addresses:
                answer = requests.get(address, headers=token, timeout=30)
                kept = answer.headers["Cache-Control"].partition(",")[0]
                assert kept == title.partition(",")[0], (title, answer.headers)
        lines = [f"X-Image-Cloud-Token: {stack.token}"]
        rates: dict[str, list[float]] = {title: [] for title in systems}
        for number in range(ROUNDS):
            for title, addresses in in_order(list(systems.items()), number):
                seen = wrk(addresses, lines, SECONDS)
                rates[title].append(seen["per_s"])
        for title, values in rates.items():
            print(f"| {title} | {statistics.median(values):,.0f} a second |")


if __name__ == "__main__":
    main()
