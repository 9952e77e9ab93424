"""Clients of all nodes, and what they were answered."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence

import requests

from tests.cluster.nodes import Node
from tests.frontdoor.client import jpeg
from tests.origin import Origin
from tests.shared_storage.ledger import Ledger

PICTURE = jpeg(320, 240)
PAUSE_S = 0.02
PATIENCE_S = 30.0
NEW, ORIGINAL, THUMBNAIL, DELETE = "new", "original", "thumbnail", "delete"
UNSTORED = "passed through unstored"
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client got: `status` 0 where the connection broke, -1 for other bytes than were stored.

    It asked `at` this time (time.monotonic); `request` is the id by which the node's logs know it.
    """

    at: float
    kind: str
    node: str
    status: int
    took_s: float
    text: str = ""
    request: str = ""

    @property
    def is_right(self) -> bool:
        """Say whether it is what a whole storage gives."""
        return self.status == 200 and not self.text


class Load:
    """Threads that store new pictures, read stored ones and delete some; a context manager."""

    def __init__(
        self, nodes: Sequence[Node], origin: Origin, ledger: Ledger, clients: int = 4
    ) -> None:
        self._nodes = nodes
        self._origin = origin
        self._ledger = ledger
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(n),), daemon=True)
            for n in range(clients)
        ]
        self.answers: list[Answer] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def wait(self, seconds: float) -> None:
        """Let the load go on for a while."""
        self._stopping.wait(seconds)

    def mark(self) -> int:
        """Return a mark for `since`."""
        return len(self.answers)

    def since(self, mark: int) -> list[Answer]:
        """Return the answers after `mark`."""
        return self.answers[mark:]

    def is_calm(self, seconds: float) -> bool:
        """Say whether all was served that was asked in the last `seconds`."""
        since = time.monotonic() - seconds
        latest = [answer for answer in self.answers if answer.at >= since]
        return bool(latest) and all(answer.is_right for answer in latest)

    def is_well(self) -> bool:
        """Store a picture at each node and read it, and a thumbnail of it, at all."""
        mark = self.mark()
        urls = [self._store(node) for node in self._nodes]
        for url, node in itertools.product(urls, self._nodes):
            self._original(node, url, hashlib.sha256(_numbered_of(url)).hexdigest())
            self._thumbnail(node, url)
        return all(answer.is_right for answer in self.since(mark))

    def _run(self, rng: random.Random) -> None:
        while not self._stopping.wait(PAUSE_S):
            node = rng.choice(self._nodes)
            kind = rng.random()
            if kind < 0.2:
                self._store(node)
            elif kind < 0.25:
                self._delete(node, rng)
            elif picked := self._ledger.pick(rng):
                self._original(node, *picked) if kind < 0.6 else self._thumbnail(node, picked[0])

    def _store(self, node: Node) -> str:
        number = next(_numbers)
        content = numbered(number)
        url = self._origin.serve(f"/{number}.jpg", content)
        answer = self._ask(NEW, node, functools.partial(node.get, url))
        if answer is not None and answer.status_code == 200 and _is_stored(answer):
            self._ledger.store(url, content)
        return url

    def _original(self, node: Node, url: str, sha: str) -> None:
        answer = self._ask(ORIGINAL, node, functools.partial(node.get, url), url)
        if answer is None or answer.status_code != 200:
            return
        if hashlib.sha256(answer.content).hexdigest() != sha:
            self.answers.append(
                Answer(time.monotonic(), ORIGINAL, node.name, -1, 0.0, f"other bytes: {url}")
            )

    def _thumbnail(self, node: Node, url: str) -> None:
        self._ask(THUMBNAIL, node, functools.partial(node.ask, "/get_thumbnail", url=url), url)

    def _delete(self, node: Node, rng: random.Random) -> None:
        if url := self._ledger.take(rng):
            ask = functools.partial(node.ask, "/delete_image", "DELETE", url=url, block="true")
            answer = self._ask(DELETE, node, ask)
            if answer is not None and answer.status_code == 200:
                self._ledger.delete(url)

    def _ask(
        self, kind: str, node: Node, ask: Callable[[], requests.Response], url: str = ""
    ) -> requests.Response | None:
        began, answer = time.monotonic(), None
        try:
            answer = ask()
            text, request = _text(kind, answer), answer.headers.get("X-Request-Id", "")
        except requests.RequestException as error:
            text, request = type(error).__name__, ""
        status = answer.status_code if answer is not None else 0
        # Somebody may have deleted it meanwhile.
        if not url or self._ledger.is_kept(url):
            took_s = time.monotonic() - began
            self.answers.append(Answer(began, kind, node.name, status, took_s, text, request))
        return answer


def summary(answers: Sequence[Answer]) -> str:
    """Return how many answers of each kind had which status, and how long the longest took."""
    counts = collections.Counter((answer.kind, answer.status) for answer in answers)
    told = ", ".join(
        f"{kind} {status}: {count}" for (kind, status), count in sorted(counts.items())
    )
    return f"{told}; longest {max((answer.took_s for answer in answers), default=0.0):.1f} s"


def numbered(number: int) -> bytes:
    """Return a JPEG that no other number gives: the number stands in a comment."""
    comment = f"{number:016d}".encode()
    return PICTURE[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + PICTURE[2:]


def _numbered_of(url: str) -> bytes:
    return numbered(int(url.rpartition("/")[2].partition(".")[0]))


def _is_stored(answer: requests.Response) -> bool:
    """Say whether nginx sent a file; a picture that passes through has no date."""
    return "Last-Modified" in answer.headers


def _text(kind: str, answer: requests.Response) -> str:
    """Return what is wrong with an answer, and says most about it."""
    if answer.ok:
        return UNSTORED if kind in (NEW, ORIGINAL) and not _is_stored(answer) else ""
    has_retry_after = "with" if "Retry-After" in answer.headers else "without"
    return f"{has_retry_after} Retry-After: {answer.text[:300]}"
