"""gunicorn's threaded worker, with threads as needed, each of which keeps its connection for a while."""

from __future__ import annotations

import select
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from falcon_app.growing_threads import GrowingThreads

# Touched pages alone take memory, but the limit of a process counts all of it.
STACK_BYTES = 512 * 1024


class KeepingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Waits in the thread for a connection's next request, for a while and in half of the threads.

    gthread hands a connection back to its main thread after each request and takes it from there
    with the next one, which is two more changes of threads, and of who holds the interpreter.
    """

    stays_s = 0.25

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: set[Any] = set()

    def get_thread_pool(self) -> GrowingThreads:
        """Return what runs `handle`: hundreds of threads while shops are slow, a few at rest."""
        threading.stack_size(STACK_BYTES)
        return GrowingThreads(self.cfg.threads)

    def handle(self, conn: Any) -> Any:
        """Answer the requests of `conn`; return what gthread does with it next."""
        kept = super().handle(conn)
        while kept is True and self._next_comes(conn):
            kept = super().handle(conn)
        return kept

    def _next_comes(self, conn: Any) -> bool:
        """Say whether another request is there, soon enough to wait for it here."""
        if not self.alive or 2 * (len(self._waiting) + 1) > self.cfg.threads:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        self._waiting.add(conn)
        try:
            return bool(poll.poll(self.stays_s * 1000))
        finally:
            self._waiting.discard(conn)
