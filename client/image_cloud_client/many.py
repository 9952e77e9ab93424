"""Many pictures at once, in the order in which they arrive, with bounded memory."""

from __future__ import annotations

import contextlib
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
        self._arrived: queue.Queue[Arrived | BaseException | None] = queue.Queue(workers)

    def arrive(self) -> Iterator[Arrived]:
        for _ in range(self._workers):
            threading.Thread(target=self._work, daemon=True).start()
        try:
            working = self._workers
            while working:
                came = self._arrived.get()
                if came is None:
                    working -= 1
                elif isinstance(came, BaseException):
                    raise came
                else:
                    yield came
        finally:
            self._stop()

    def _stop(self) -> None:
        """Have workers end as soon as they have what they wait for: nobody waits for a slow picture.

        From now on each puts one thing into the queue at most, which has room for that.
        """
        self._stopping.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._arrived.get_nowait()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and (url := self._next()) is not None:
                self._arrived.put((url, self._one(url)))
        except BaseException as error:  # of the caller's own list, too
            self._stopping.set()
            self._arrived.put(error)
        else:
            if not self._stopping.is_set():
                self._arrived.put(None)

    def _next(self) -> str | None:
        with self._reading:
            return next(self._urls, None)

    def _one(self, url: str) -> bytes | ImageCloudError:
        try:
            return self._get(url)
        except ImageCloudError as error:
            return error
