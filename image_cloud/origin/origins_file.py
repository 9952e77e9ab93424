"""The file `origins.json` as it stands; it holds secrets, so nobody but its owner may read it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.origin.request_headers import Extra, HeadersError, RequestHeaders, parse
from image_cloud.picture.url import Url
from image_cloud.process import json_file
from image_cloud.process.reread import Reread

log = logging.getLogger(__name__)

MODE = 0o600
MOST_BYTES = 4 << 20


class OriginsFile:
    """Headers for hosts, read again when the file changes; a broken file is not taken.

    `last_good` is where a copy is kept for a process that starts while the file at `path` is broken.
    """

    def __init__(
        self, path: Path, last_good: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._last_good = last_good
        self._file = Reread(path, self._read, _kept(last_good), "origins", clock)

    def of(self, url: Url) -> Extra:
        """Return what a request for `url` carries besides the usual headers."""
        return self._file.current().of(url)

    def _read(self, path: Path) -> RequestHeaders:
        text = read_text(path)
        headers = parse(text)
        log.info("event=origins_read hosts=%d", len(headers.hosts) + len(headers.domains))
        with contextlib.suppress(OSError):  # a full disk costs only the copy
            json_file.write(self._last_good, json.loads(text), mode=MODE)
        return headers


def read_text(path: Path) -> str:
    """Return the file's text, that of an empty file where there is none.

    Raises HeadersError where others than its owner may read it, and OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "{}"
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise HeadersError(f"expected a file of at most {MOST_BYTES} bytes")
        if mode & ~MODE:
            raise HeadersError(f"its mode is {mode:04o}, expected is {MODE:04o}: it holds secrets")
        return _decoded(file.read())


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise HeadersError(f"not UTF-8 at byte {error.start}") from None


def _kept(path: Path) -> RequestHeaders:
    try:
        return parse(read_text(path))
    except (OSError, HeadersError):
        return RequestHeaders()
