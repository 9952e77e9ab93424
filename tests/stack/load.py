"""Clients that go on asking a stack for hits, misses, resizes and batches, and note what failed."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

import requests

from tests.stack.running import Stack

TIMEOUT_S = 60.0


class Load:
    """A context manager; at its end `failed` holds a line for every request without its answer."""

    def __init__(self, stack: Stack, *, clients: int = 2) -> None:
        """`clients` of each kind ask side by side."""
        self._url = stack.url
        self._token = {"X-Image-Cloud-Token": stack.token}
        self._origin = f"http://{(stack.home / 'sample_origin').read_text().strip()}"
        self._stop = threading.Event()
        self._numbers = itertools.count(int(time.time()) * 1000)
        self.failed: list[str] = []
        self.done: Counter[str] = Counter()
        self.longest_s = 0.0
        kinds = (self._hit, self._original, self._miss, self._resize, self._batch) * clients
        self._threads = [threading.Thread(target=self._ask, args=(kind,)) for kind in kinds]

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

    def _ask(self, kind: Callable[[requests.Session], requests.Response]) -> None:
        name = kind.__name__.strip("_")
        with requests.Session() as session:
            session.headers.update(self._token)
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    answer = kind(session)
                    problem = "" if answer.ok else f"{answer.status_code} {answer.text[:200]}"
                except requests.RequestException as error:
                    problem = repr(error)
                took = time.monotonic() - began
                self.longest_s = max(self.longest_s, took)
                self.done[name] += 1
                if problem:
                    self.failed.append(f"{name} after {took:.1f} s: {problem}")
                self._stop.wait(0.02)

    def _hit(self, session: requests.Session) -> requests.Response:
        return self._get(session, "/get_thumbnail", url=f"{self._origin}/dusk.jpg")

    def _original(self, session: requests.Session) -> requests.Response:
        return self._get(session, "/get_image", url=f"{self._origin}/dusk.jpg")

    def _miss(self, session: requests.Session) -> requests.Response:
        url = f"{self._origin}/badge.png?{next(self._numbers)}"
        return self._get(session, "/get_thumbnail", url=url)

    def _resize(self, session: requests.Session) -> requests.Response:
        # Of the same original, each in another quality and size.
        number = next(self._numbers)
        sizes = {"resize_width": 100 + number % 60, "quality": 20 + number // 60 % 70}
        return self._get(session, "/get_image", url=f"{self._origin}/dusk.jpg", **sizes)

    def _batch(self, session: requests.Session) -> requests.Response:
        urls = [f"{self._origin}/badge.png?{next(self._numbers)}"]
        return session.post(f"{self._url}/fire_and_forget", json={"urls": urls}, timeout=TIMEOUT_S)

    def _get(self, session: requests.Session, path: str, **query: object) -> requests.Response:
        return session.get(self._url + path, params=query, timeout=TIMEOUT_S)
