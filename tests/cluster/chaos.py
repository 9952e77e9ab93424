"""A run in which nodes die, hang, are cut off and wiped while clients store and delete.

    python -m tests.cluster.chaos --seconds 1800 --seed 7      (make cluster-soak)

At the end, as sets: every acknowledged store is on every node bit for bit, every acknowledged delete on
none, every backlog 0.  The seed decides the order of everything that the test does.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from image_cloud.picture.key import key_of
from tests.cluster.namespaces import Namespaces
from tests.cluster.nodes import NAMES, Node, Nodes, eventually
from tests.frontdoor.client import jpeg
from tests.origin import Origin

CLIENTS = 3
SETTLE_S = 180.0
PICTURE = jpeg(48, 36)


class Ledger:
    """What was acknowledged: stores and deletes by URL."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.stored: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.tried_to_delete: set[str] = set()

    def store(self, url: str, content: bytes) -> None:
        with self._mutex:
            self.stored[url] = hashlib.sha256(content).hexdigest()

    def pick(self, rng: random.Random) -> str | None:
        """Choose a stored URL to delete; it is asked for no more from now on."""
        with self._mutex:
            free = sorted(set(self.stored) - self.tried_to_delete)
            url = rng.choice(free) if free else None
            self.tried_to_delete |= {url} if url else set()
            return url

    def delete(self, url: str) -> None:
        with self._mutex:
            self.deleted.add(url)

    def expected(self) -> dict[str, str]:
        """Return key and SHA-256 of what must be everywhere; an unanswered delete may go either way."""
        return {
            key_of(url): digest
            for url, digest in self.stored.items()
            if url not in self.tried_to_delete
        }


class Client(threading.Thread):
    """Stores new pictures at random nodes, and deletes some of them at ic00."""

    def __init__(
        self, number: int, seed: int, nodes: Nodes, origin: Origin, ledger: Ledger
    ) -> None:
        super().__init__(daemon=True)
        self._number = number
        self._rng = random.Random(f"{seed}-{number}")
        self._nodes = nodes
        self._origin = origin
        self._ledger = ledger
        self.stopping = threading.Event()

    def run(self) -> None:
        count = 0
        while not self.stopping.wait(0.05):
            count += 1
            with contextlib.suppress(requests.RequestException):
                if self._rng.random() < 0.25:
                    self._delete()
                else:
                    self._store(self._number * 100_000 + count)

    def _store(self, number: int) -> None:
        content = _numbered(number)
        url = self._origin.serve(f"/{number}.jpg", content)
        node = self._nodes[self._rng.choice(NAMES)]
        answer = node.get(url, use_alternativ_clouds=self._rng.choice(["true", "false"]))
        # A picture that passes through a full or dying node is not acknowledged as stored; a kept one is.
        if answer.status_code == 200 and answer.content == content:
            self._ledger.store(url, content)

    def _delete(self) -> None:
        url = self._ledger.pick(self._rng)
        if url and self._nodes["ic00"].ask("/delete_image", "DELETE", url=url).status_code == 200:
            self._ledger.delete(url)


def _numbered(number: int) -> bytes:
    """Return a small JPEG that no other number gives: the number stands in a comment."""
    comment = f"{number:016d}".encode()
    return PICTURE[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + PICTURE[2:]


class Chaos:
    """Breaks one thing after the other while clients go on, and mends each before the next."""

    def __init__(self, nodes: Nodes, origin: Origin, seed: int, say: Callable[[str], None]) -> None:
        self._nodes = nodes
        self._origin = origin
        self._seed = seed
        self._say = say
        self._rng = random.Random(seed)
        self._ledger = Ledger()
        self._clients: list[Client] = []
        self._started = 0
        self._faults: dict[str, Callable[[Node], None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "pause": self._pause,
            "cut two against two": self._cut,
            "wipe": self._wipe,
            "kill one process": self._kill_one,
            "stop the database": self._stop_database,
        }

    def run(self, seconds: float) -> None:
        """Do every fault in random order, again and again until the time is over, and compare."""
        deadline = time.monotonic() + seconds
        self._start_clients()
        try:
            while time.monotonic() < deadline:
                for name in self._rng.sample(sorted(self._faults), len(self._faults)):
                    if time.monotonic() < deadline:
                        node = self._nodes[self._rng.choice(NAMES)]
                        self._say(f"{name}: {node.name}")
                        self._faults[name](node)
        finally:
            self._nodes.links.heal()
            self._stop_clients()
        self._compare()

    def _start_clients(self) -> None:
        self._started += CLIENTS
        numbers = range(self._started - CLIENTS + 1, self._started + 1)
        self._clients = [
            Client(number, self._seed, self._nodes, self._origin, self._ledger)
            for number in numbers
        ]
        for client in self._clients:
            client.start()

    def _stop_clients(self) -> None:
        for client in self._clients:
            client.stopping.set()
        for client in self._clients:
            client.join(60)

    def _compare(self) -> None:
        """Compare, as sets, what was acknowledged with what each node has."""
        expected = self._ledger.expected()
        deleted = {key_of(url) for url in self._ledger.deleted}
        assert expected, "no store was acknowledged"
        self._say(f"comparing {len(expected)} pictures, {len(deleted)} deletes")
        problems: list[str] = []
        said = [time.monotonic()]

        def agrees() -> bool:
            problems[:] = _differences(self._nodes, expected, deleted)
            if problems and time.monotonic() > said[-1] + 5:
                said.append(time.monotonic())
                self._say("not yet: " + "; ".join(problems))
            return not problems

        try:
            eventually(agrees, "all nodes agree", SETTLE_S)
        except AssertionError:
            raise AssertionError(f"seed {self._seed}: " + "; ".join(problems)) from None

    def _last(self, low_s: float, high_s: float) -> None:
        """Let a fault last."""
        threading.Event().wait(self._rng.uniform(low_s, high_s))

    def _kill(self, node: Node) -> None:
        node.kill()
        self._last(0.5, 3)
        self._nodes.start(node.name)

    def _stop(self, node: Node) -> None:
        self._nodes.stop(node.name)
        self._nodes.start(node.name)

    def _pause(self, node: Node) -> None:
        with node.paused():
            self._last(1, 5)

    def _cut(self, node: Node) -> None:
        others = [name for name in NAMES if name != node.name]
        ally = self._rng.choice(others)
        self._nodes.links.cut([node.name, ally], [name for name in others if name != ally])
        self._last(2, 6)
        self._nodes.links.heal()

    def _wipe(self, node: Node) -> None:
        """Lose a disk, once nothing is on it alone: an only copy that is lost cannot come back."""
        self._stop_clients()
        self._compare()
        node.kill()
        node.wipe()
        self._start_clients()
        self._nodes.start(node.name)

    def _kill_one(self, node: Node) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._rng.choice(sorted(node.processes())), signal.SIGKILL)
        self._nodes.start(node.name)

    def _stop_database(self, node: Node) -> None:
        with node.without("postgres"):
            self._last(0.5, 3)


def _differences(nodes: Nodes, expected: dict[str, str], deleted: set[str]) -> list[str]:
    problems = []
    first: dict[str, str] | None = None
    for node in nodes:
        files = {key: hashlib.sha256(data).hexdigest() for key, data in node.files().items()}
        first = files if first is None else first
        missing = {key for key, digest in expected.items() if files.get(key) != digest}
        checks = {
            f"lacks {len(missing)}, such as {min(missing, default='')}": missing,
            f"kept {len(deleted & set(files))} deleted": deleted & set(files),
            f"differs from ic00 in {_unlike(files, first)}": files != first,
            "its catalogue differs from its files": node.tables() != files,
            f"its backlog is {node.backlog()}": node.backlog(),
        }
        problems += [f"{node.name} {text}" for text, wrong in checks.items() if wrong]
    return problems


def _unlike(one: dict[str, str], other: dict[str, str]) -> str:
    more, less = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    return f"{len(more)} more {more[:1]}, {len(less)} less {less[:1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    say(f"seed {arguments.seed}")
    with apart() as (nodes, origin):
        Chaos(nodes, origin, arguments.seed, say).run(arguments.seconds)
    say("every node agrees")
    return 0


@contextlib.contextmanager
def apart() -> Iterator[tuple[Nodes, Origin]]:
    """Have four nodes, each in a network namespace of its own, and an origin that all can reach."""
    spaces = Namespaces(NAMES)
    allowed = {"download.allow_networks": f"127.0.0.0/8, {spaces.network}"}
    with (
        tempfile.TemporaryDirectory(prefix="ic-soak-") as folder,
        Nodes(Path(folder), allowed, spaces) as nodes,
        Origin(address=spaces.outside) as origin,
    ):
        yield nodes, origin


if __name__ == "__main__":
    sys.exit(main())
