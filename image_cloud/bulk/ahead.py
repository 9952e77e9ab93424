"""Blocks that a thread of low priority makes ahead of their reader, and how slow that reader may be."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Iterator

from image_cloud.origin.deadlines import Deadline, deadlines
from image_cloud.process.closing import Closing

AHEAD = 2
"""So many blocks are ready: with that of the reader, all that a stream keeps in memory."""
NICENESS = 10
"""Whoever serves visitors gets the processor first."""
BLOCK_S = 30.0
"""So long a reader may take for a block, a slow link included."""


class Ahead(Closing):
    """Iterates over `blocks` in a thread of its own; `close` ends it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._ready: queue.Queue[bytes | Exception | None] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks; raises what made them fail."""
        while (block := self._ready.get()) is not None:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self) -> None:
        """Have the thread end, and wait for the block that it is at."""
        self._closed.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._ready.get(timeout=0.05)

    def _run(self) -> None:
        with contextlib.suppress(PermissionError):  # it is lower already
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        end: Exception | None = None
        try:
            for block in self._blocks:
                self._ready.put(block)
                if self._closed.is_set():
                    return
        except Exception as error:
            end = error
        self._ready.put(end)


def in_time(
    blocks: Iterator[bytes], sock: socket.socket | None, block_s: float = BLOCK_S
) -> Iterator[bytes]:
    """Yield the blocks; shut `sock`, to which they go, where one takes longer than `block_s` to get there."""
    watch = deadlines()
    with Ahead(blocks) as ahead:
        for block in ahead:
            deadline = Deadline(block_s)
            deadline.hold(sock)
            watch.add(deadline)
            try:
                yield block
            finally:
                watch.discard(deadline)
                deadline.hold(None)
