"""Long polls of a peer's feed, which another thread can end: they wait for news for seconds."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from urllib3 import HTTPConnectionPool

from image_cloud.process.sockets import shut


class Polls:
    """The connections that polls wait on, those that are still to come included."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._ended = False

    def watch(self, pool: HTTPConnectionPool) -> HTTPConnectionPool:
        """Return `pool`, whose connections are to be ended, too."""
        polls, usual = self, pool.ConnectionCls

        class Watched(usual):  # type: ignore[misc,valid-type]
            def connect(self) -> None:
                super().connect()
                polls._add(self.sock)

        pool.ConnectionCls = Watched
        return pool

    def end(self) -> None:
        """End what waits, and what would wait from now on: it breaks off at once."""
        with self._mutex:
            self._ended = True
            waiting = list(self._sockets)
        for sock in waiting:
            shut(sock)

    def _add(self, sock: Any) -> None:
        with self._mutex:
            self._sockets.add(sock)
            ended = self._ended
        if ended:
            shut(sock)
