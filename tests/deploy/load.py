"""A constant load of hits and misses through the load balancer; what failed is kept."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType

from tests.deploy.client import Client

THREADS, PAUSE_S = 4, 0.2
HITS_A_MISS = 4


class Load:
    """While in the `with`, THREADS clients ask; four of five times for a picture that is stored."""

    def __init__(self, client: Client, stored: list[str], new_url: Callable[[int], str]) -> None:
        """`new_url` makes the URL of a picture that nobody has asked for yet, from a number."""
        self._client, self._stored, self._new_url = client, stored, new_url
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        self._lock = threading.Lock()
        self.hits = self.misses = 0
        self.slowest_s = 0.0
        self.failed: list[str] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stop.wait(PAUSE_S):
            number = next(self._numbers)
            is_miss = number % (HITS_A_MISS + 1) == 0
            url = self._new_url(number) if is_miss else self._stored[number % len(self._stored)]
            began = time.monotonic()
            outcome = self._ask(url)
            with self._lock:
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.misses += is_miss
                self.hits += not is_miss
                if outcome:
                    self.failed.append(
                        f"{time.strftime('%T')} {'miss' if is_miss else 'hit'} {url}: {outcome}"
                    )

    def _ask(self, url: str) -> str:
        """Return what went wrong, nothing if all is well."""
        try:
            answer = self._client.thumbnail(url)
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        if answer.status != 200 or not answer.body.startswith(b"\xff\xd8\xff"):
            return f"{answer.status} {answer.body[:200]!r}"
        return ""

    def summary(self) -> str:
        """Say how much was asked."""
        return f"{self.hits} hits, {self.misses} misses, slowest {self.slowest_s:.1f} s"
