"""The parent: takes requests, keeps them in order, hands each to a worker, and says what became of it.

One thread that never decodes, so it always answers.  A worker writes its answer into the client's pipe by
itself; on the client's connection only the parent speaks: `busy`, `died`, `timeout`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable

from daemons.decoder.crew import Crew, Worker
from daemons.decoder.request import Malformed, Request
from daemons.decoder.status import Counts, http_answer
from daemons.decoder.waiting import Waiting
from daemons.decoder.worker import DONE
from image_cloud.decoding.client import BUSY, DIED, TIMEOUT
from image_cloud.decoding.plan import PREFETCH, VISITOR

log = logging.getLogger(__name__)

TICK_S = 0.25
GRACE_S = 2.0  # of a worker whose own alarm should have come
LONGEST_WAIT_S = 30.0
FINISH_S = 27.0  # after SIGTERM; below the program's stopwaitsecs


class Parent:
    """Serves `listening` with the workers of `crew`; at most `most_waiting` visitors' requests wait."""

    def __init__(
        self, listening: socket.socket, crew: Crew, most_waiting: int, decode_timeout_s: float
    ) -> None:
        self._listening = listening
        self._crew = crew
        self._limit_s = decode_timeout_s + GRACE_S
        self._waiting: Waiting[Request] = Waiting(most_waiting)
        self._running: dict[Worker, Request] = {}
        self._counts = Counts()
        self._selector = selectors.DefaultSelector()
        self._finish_by: float | None = None

    def run(self) -> None:
        """Serve until SIGTERM; then finish what has come, and return."""
        self._wake_on_signals()
        self._listening.setblocking(False)
        self._watch(self._listening, self._accept)
        self._staff()
        while not self._is_finished():
            for key, _ in self._selector.select(TICK_S):
                key.data()
            self._tick()
        self._crew.kill()

    # --- clients -------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listening.accept()
            connection.setblocking(False)
            self._receive(Request(connection))

    def _receive(self, request: Request) -> None:
        try:
            is_complete = request.receive()
        except Malformed as error:
            log.warning("event=malformed_request reason=%s", error)
            self._drop(request)
            return
        if request.asks_for_status:
            request.say(http_answer(self._status()))
            self._drop(request)
        elif is_complete:
            self._watch(request.connection, lambda: self._hear(request))
            self._queue(request)
        else:
            self._watch(request.connection, lambda: self._receive(request))

    def _queue(self, request: Request) -> None:
        if not self._waiting.add(request.kind, request):
            self._counts.refused += 1
            self._end(request, BUSY)
        else:
            self._hand_out()

    def _hear(self, request: Request) -> None:
        """A client refuses its answer, or has closed its end."""
        if request.is_refused():
            self._retire(request.worker)
            return
        self._forget(request.connection)
        request.has_left = True
        if request.worker is None or request.is_done:
            self._drop(request)

    # --- workers -------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        while self._waiting.has(self._may_run) and (worker := self._crew.take() or self._hire()):
            request = self._waiting.take(self._may_run)
            if request is None:
                self._crew.rest(worker)
            elif worker.send(request.message, request.descriptors):
                request.begin(worker)
                self._running[worker] = request
            else:
                self._waiting.put_back(request.kind, request)
                worker.kill()

    def _may_run(self, request: Request) -> bool:
        """Say no to a second large picture at a time."""
        return not request.is_large or not any(one.is_large for one in self._running.values())

    def _listen_to(self, worker: Worker) -> None:
        """A worker is done, or has ended."""
        said = b""
        with contextlib.suppress(OSError):
            said = worker.channel.recv(1)
        if not said:
            self._bury(worker)
            return
        self._finish(self._running.pop(worker))
        if worker.is_retired:
            worker.kill()
        elif said == DONE:  # else it ends
            self._crew.rest(worker)
            self._hand_out()

    def _finish(self, request: Request) -> None:
        """The client has its answer, and may say yet what it thinks of it."""
        self._counts.done += 1
        request.is_done = True
        if request.has_left:
            self._drop(request)

    def _retire(self, worker: Worker | None) -> None:
        """End a worker that answers what no worker of ours does, once it has no other client's picture."""
        if worker:
            log.error("event=worker_refused pid=%d", worker.pid)
            worker.is_retired = True
            self._crew.kill_idle(worker)

    def _bury(self, worker: Worker) -> None:
        self._forget(worker.channel)
        status = self._crew.bury(worker)
        request = self._running.pop(worker, None)
        if request:
            self._counts.deaths += 1
            is_late = time.monotonic() - request.began >= self._limit_s
            log.error("event=worker_died status=%d late=%s", status, is_late)
            self._end(request, TIMEOUT if is_late else DIED)
        elif status:
            log.error("event=worker_died status=%d", status)
            self._crew.pause()
        self._staff()

    def _staff(self) -> None:
        """Have the workers that the waiting need, and one even at rest."""
        self._hand_out()
        if not self._crew and (worker := self._hire()):
            self._crew.rest(worker)

    def _hire(self) -> Worker | None:
        """Return one more worker; None where there are enough, or none can be had."""
        worker = self._crew.hire()
        if worker:
            self._watch(worker.channel, functools.partial(self._listen_to, worker))
        return worker

    # --- time ----------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        for worker, request in self._running.items():
            if now - request.began >= self._limit_s and not request.is_killed:
                request.is_killed = True
                self._counts.kills += 1
                worker.kill()
        for request in self._waiting.take_first(lambda one: now - one.came > LONGEST_WAIT_S):
            self._end(request, BUSY)
        self._crew.let_spare_go()
        self._staff()

    def _wake_on_signals(self) -> None:
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        signal.set_wakeup_fd(writing.fileno())
        self._kept = writing
        self._watch(reading, lambda: reading.recv(100))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())

    def _stop(self) -> None:
        """Take nothing more: the socket's queue is for the next daemon."""
        if self._finish_by is None:
            self._finish_by = time.monotonic() + FINISH_S
            self._forget(self._listening)

    def _is_finished(self) -> bool:
        if self._finish_by is None:
            return False
        is_done = not self._running and not len(self._waiting)
        return is_done or time.monotonic() >= self._finish_by

    # --- connections ---------------------------------------------------------------------------

    def _watch(self, sock: socket.socket, act: Callable[[], object]) -> None:
        try:
            self._selector.register(sock, selectors.EVENT_READ, act)
        except KeyError:
            self._selector.modify(sock, selectors.EVENT_READ, act)

    def _forget(self, sock: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _end(self, request: Request, verdict: bytes) -> None:
        request.say(verdict)
        self._drop(request)

    def _drop(self, request: Request) -> None:
        if request.worker is None:
            self._waiting.remove(request)
        self._forget(request.connection)
        request.close()

    def _status(self) -> dict[str, int]:
        return {
            "workers": len(self._crew),
            "running": len(self._running),
            "waiting": self._waiting.count(VISITOR),
            "waiting_prefetch": self._waiting.count(PREFETCH),
            **dataclasses.asdict(self._counts),
        }
