"""Asks the decoder daemon for the variants of one picture, over its unix socket."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Sequence

from image_cloud.decoding import frames
from image_cloud.decoding.frames import Closed, MalformedAnswer, Reader, TooSlow
from image_cloud.decoding.plan import VISITOR, Plan
from image_cloud.errors import Busy, DecoderAway, DecoderDied, DecodeTimeout, ImageCloudError
from image_cloud.process.closing import Closing
from image_cloud.process.unix_get import get_json

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2.0
VERDICT_S = 5.0
STATUS_S = 1.0
STATUS = (
    "workers", "running", "waiting", "waiting_prefetch", "done", "deaths", "kills", "refused",
)  # fmt: skip
BUSY, DIED, TIMEOUT = b"busy", b"died", b"timeout"
"""What the daemon itself says, on the connection, where its worker gave no full answer."""
REFUSED = b"refused"
"""What the client says of a worker whose answer was refused: the daemon ends it."""


class Decoder:
    """Asks the daemon at the unix socket `path`; for any number of threads.

    `patience_s` bounds one exchange, the wait in the daemon's queue included.
    """

    def __init__(self, path: str, patience_s: float) -> None:
        self._path = path
        self._patience_s = patience_s

    def ask(
        self, plan: Plan, files: Sequence[int], kind: int = VISITOR, *, is_large: bool = False
    ) -> Exchange:
        """Send a plan and the descriptors of picture and ladder; return what gives the answer.

        Raises Busy where there is no daemon.
        """
        deadline = time.monotonic() + self._patience_s
        connection = socket.socket(socket.AF_UNIX)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            connection.settimeout(self._patience_s)
            connection.connect(self._path)
            message = plan.message(kind, is_large=is_large)
            socket.send_fds(connection, [message], [writing, *files])
        except OSError as error:
            os.close(reading)
            connection.close()
            raise _away() from error
        finally:
            os.close(writing)
        return Exchange(connection, reading, deadline)

    def status(self) -> dict[str, int] | None:
        """Return what the daemon says of itself (daemons/decoder/status.py), None while it is away."""
        status = get_json(self._path, "/status", STATUS_S)
        try:
            return {name: int(status[name]) for name in STATUS}
        except (ValueError, LookupError, TypeError):
            return None


class Exchange(Closing):
    """One answer of the daemon, frame by frame; a context manager that closes it."""

    def __init__(self, connection: socket.socket, reading: int, deadline: float) -> None:
        self._connection = connection
        self._reading = reading
        self._reader = Reader(reading, deadline)

    def close(self) -> None:
        """Let go of the decoder, whatever it still has to say."""
        os.close(self._reading)
        self._connection.close()

    def read(self, most_bytes: int) -> tuple[int, bytes]:
        """Return kind and bytes of the next frame: a variant, a ladder or the end.

        Raises the picture's error, DecoderDied for a decoder that died of it or whose answer is
        refused, DecodeTimeout, DecoderAway and Busy.
        """
        try:
            kind, content = self._reader.read(max(most_bytes, frames.MOST_ERROR_BYTES))
            if kind == frames.ERROR:
                raise frames.error_of(content)
        except MalformedAnswer as error:
            raise self.refuse(str(error)) from None
        except Closed:
            raise self._verdict() from None
        except TooSlow:
            raise _busy() from None
        return kind, content

    def is_all_here(self) -> bool:
        """Say whether the rest of the answer can be read without waiting."""
        return self._reader.is_all_here()

    def refuse(self, reason: str) -> ImageCloudError:
        """Have the daemon end the worker that answered so, and return what is wrong with its picture."""
        log.error("event=decoder_answer_refused reason=%r", reason)
        with contextlib.suppress(OSError):
            self._connection.send(REFUSED)
        return DecoderDied("the decoder did not make the picture that was asked for")

    def _verdict(self) -> ImageCloudError:
        """Return why there is no full answer, as the daemon says; it was away where it says nothing."""
        self._connection.settimeout(VERDICT_S)
        said = b""
        with contextlib.suppress(OSError):
            said = self._connection.recv(100)
        errors: dict[bytes, ImageCloudError] = {
            BUSY: _busy(),
            DIED: DecoderDied(),
            TIMEOUT: DecodeTimeout("stopped: it took too long"),
        }
        return errors.get(said, _away())


def _busy() -> Busy:
    return Busy("the decoder is busy", retry_after_s=RETRY_AFTER_S)


def _away() -> DecoderAway:
    return DecoderAway("the decoder is away", retry_after_s=RETRY_AFTER_S)
