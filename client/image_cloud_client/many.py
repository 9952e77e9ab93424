"""Many pictures at once, in the order in which they arrive, with bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from image_cloud_client.errors import ImageCloudError

Arrived = tuple[str, bytes | ImageCloudError]


def many(urls: Iterable[str], workers: int, get: Callable[[str], bytes]) -> Iterator[Arrived]:
    """Yield each of `urls` with its bytes or the error that `get` raised.

    At most `workers` pictures are under way, and as many wait for the caller.  `urls` is read as it goes
    on, in one thread at a time.  Any other exception, `urls`'s own included, ends it and is raised.
    """
    if workers < 1:
        raise ValueError("workers: expected is a number from 1")
    return _Many(urls, workers, get).arrive()


class _Many:
    def __init__(self, urls: Iterable[str], workers: int, get: Callable[[str], bytes]) -> None:
        self._urls = iter(urls)
        self._get = get
        self._workers = workers
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        # None: a worker has ended
        self._arrived: queue.Queue[Arrived | Exception | None] = queue.Queue(workers)

    def arrive(self) -> Iterator[Arrived]:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in threads:
            thread.start()
        try:
            working = self._workers
            while working:
                came = self._arrived.get()
                if came is None:
                    working -= 1
                elif isinstance(came, Exception):
                    raise came
                else:
                    yield came
        finally:
            self._stop(threads)

    def _stop(self, threads: list[threading.Thread]) -> None:
        """Let workers end that wait for room in the queue."""
        self._stopping.set()
        for thread in threads:
            while thread.is_alive():
                try:
                    self._arrived.get(timeout=0.05)
                except queue.Empty:
                    continue

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and (url := self._next()) is not None:
                self._arrived.put((url, self._one(url)))
        except Exception as error:
            self._stopping.set()
            self._arrived.put(error)
        finally:
            self._arrived.put(None)

    def _next(self) -> str | None:
        with self._reading:
            return next(self._urls, None)

    def _one(self, url: str) -> bytes | ImageCloudError:
        try:
            return self._get(url)
        except ImageCloudError as error:
            return error
