"""What a page asks of something that may hang: for a moment; then the page says that it is not known."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from image_cloud.errors import DatabaseUnavailable

T = TypeVar("T")
PATIENCE_S = 0.2
THREADS = 4


class Patience(Generic[T]):
    """Asks in threads of its own: what hangs takes THREADS of them at most, and no page waits for it."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._mutex = threading.Lock()
        self._running: set[Future[T]] = set()

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer.

        Raises DatabaseUnavailable where none comes in time, and what `question` raises.
        """
        with self._mutex:
            self._running = {one for one in self._running if not one.done()}
            if len(self._running) >= THREADS:
                raise DatabaseUnavailable("the database does not answer")
            asked = self._threads.submit(question)
            self._running.add(asked)
        try:
            return asked.result(self._patience_s)
        except concurrent.futures.TimeoutError:
            raise DatabaseUnavailable("the database does not answer") from None

    @functools.cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Made when it is first needed: threads do not live through a fork."""
        return ThreadPoolExecutor(THREADS, "page")
