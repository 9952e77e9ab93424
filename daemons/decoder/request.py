"""One client's request: its connection, the message, the descriptors that came with it."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from daemons.decoder.crew import Worker
from image_cloud.decoding.plan import (
    HEAD,
    LEAST_DESCRIPTORS,
    MOST_BYTES,
    MOST_DESCRIPTORS,
    complete,
)

HTTP = b"GET "


class Malformed(Exception):
    """The client sent no request."""


class Request:
    """What has come of a request over `connection`, which does not block."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.message = b""
        self.descriptors: list[int] = []
        self.worker: Worker | None = None
        self.came = self.began = time.monotonic()
        self.is_killed = self.is_done = self.has_left = False

    @property
    def kind(self) -> int:
        """The class of the request, which decides how long it waits."""
        return self.message[0]

    @property
    def is_large(self) -> bool:
        """Whether the picture takes so much memory that it is decoded without another like it."""
        return bool(self.message[1])

    @property
    def asks_for_status(self) -> bool:
        """Whether an operator, or the watchdog, asks in HTTP."""
        return self.message.startswith(HTTP) and b"\r\n\r\n" in self.message

    def receive(self) -> bool:
        """Take what has come; say whether it is a whole plan.  Raises Malformed."""
        try:
            piece, descriptors, _, _ = socket.recv_fds(
                self.connection, HEAD.size + MOST_BYTES, MOST_DESCRIPTORS
            )
        except BlockingIOError:
            return False
        except OSError as error:
            raise Malformed(str(error)) from None
        self.message += piece
        self.descriptors += descriptors
        if not piece or len(self.message) > HEAD.size + MOST_BYTES:
            raise Malformed(f"{len(self.message)} bytes")
        return not self.message.startswith(HTTP[: len(self.message)]) and self._is_complete()

    def _is_complete(self) -> bool:
        try:
            is_complete = complete(self.message)
        except ValueError as error:
            raise Malformed(str(error)) from None
        count = len(self.descriptors)
        if count > MOST_DESCRIPTORS or (is_complete and count < LEAST_DESCRIPTORS):
            raise Malformed(f"{count} descriptors")
        return is_complete

    def begin(self, worker: Worker) -> None:
        """Note that `worker` has it, and close what only the worker needs: its end ends the answer."""
        self.worker = worker
        self.began = time.monotonic()
        self._close_descriptors()

    def is_refused(self) -> bool:
        """Say whether the client refuses its answer; else it has closed its end."""
        with contextlib.suppress(OSError):
            return bool(self.connection.recv(100))
        return False

    def say(self, words: bytes) -> None:
        """Tell the client; one that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self.connection.send(words)

    def close(self) -> None:
        """Let go of everything."""
        self._close_descriptors()
        self.connection.close()

    def _close_descriptors(self) -> None:
        descriptors, self.descriptors = self.descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)
