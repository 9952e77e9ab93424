from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.origin import Origin
from tests.prefetch.node import Node
from tests.stack.running import Stack

SETTINGS = ";".join([
    "download.allow_networks=127.0.0.0/8", "download.total_timeout=20 s", "download.read_timeout=15 s",
    "failures.first_keep=100 ms", "failures.longest_keep=300 ms", "failures.not_found_keep=1 s",
    "prefetch.first_wait=100 ms", "prefetch.longest_wait=500 ms", "prefetch.tries=3", "prefetch.idle=50 ms",
    "prefetch.callback_first_wait=50 ms", "politeness.slot_wait=5 s", "politeness.failures=6",
    "politeness.first_pause=1 s", "politeness.longest_pause=2 s",
])  # fmt: skip


@pytest.fixture(scope="package")
def node() -> Iterator[Node]:
    """A stack of our own: these tests kill its processes."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=SETTINGS) as running,
    ):
        yield Node(running)


@pytest.fixture(autouse=True)
def limits_as_first(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "node" in request.fixturenames:
        request.getfixturevalue("node").set_limits({"default": 8})


@pytest.fixture
def origins() -> Iterator[Callable[[int], list[Origin]]]:
    """Start origins, each on an address of its own, so that each is a domain of its own."""
    running: list[Origin] = []

    def start(count: int) -> list[Origin]:
        running.extend(
            Origin(address=f"127.0.1.{len(running) + n + 1}").__enter__() for n in range(count)
        )
        return running

    yield start
    for origin in running:
        origin.stop()


@pytest.fixture
def soak() -> int:
    """How many URLs and rounds: `make prefetch-soak` asks for 5,000 URLs, ten times."""
    return int(os.environ.get("PREFETCH_SOAK", "0"))
