"""Logs: one line of `key=value` facts per finished piece of work, to standard error."""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from image_cloud.process.log_formats import formatter

log = logging.getLogger(__name__)

LAST_LINES = 10

GATHER_S, MOST_LINES, STACK_BYTES = 0.2, 100, 256 * 1024
QUERY = re.compile(r"\?.*")  # to the end of the line: a query may hold quotes and what else


def set_up_logging(level: str, log_format: str) -> None:
    """Log `level` (a name in any case) and above; supervisord keeps and rotates the lines."""
    handler = GatheringHandler(sys.stderr)
    handler.setFormatter(formatter(log_format))
    # In no line, and looked up for every one.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("urllib3", "requests", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("event=uncaught error=%s", kind.__name__, exc_info=(kind, error, trace))


class GatheringHandler(logging.StreamHandler[TextIO]):
    """Writes lines that come close together in one go, warnings and all before them at once.

    supervisord wakes up for each write: with a line a write that costs it a tenth of a
    millisecond for every picture.  A process that is killed loses what it had to say in the last
    GATHER_S, but for warnings.

    The thread that writes starts with the first line.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._some = threading.Event()
        self._pid = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record's line."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or len(self._lines) >= MOST_LINES:
                self.flush()
            else:
                self._write_soon()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what was gathered; what goes into a pipe in one piece is not mixed with others'."""
        with self.lock:  # type: ignore[union-attr]
            lines, self._lines = self._lines, []
            for piece in pieces(lines):
                self.stream.write(piece)
                self.stream.flush()

    def _write_soon(self) -> None:
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid, self._some = os.getpid(), threading.Event()
            before = threading.stack_size(STACK_BYTES)
            threading.Thread(target=self._run, args=(self._some,), name="log", daemon=True).start()
            threading.stack_size(before)
        self._some.set()

    def _run(self, some: threading.Event) -> None:
        while some.wait():
            time.sleep(GATHER_S)
            some.clear()
            self.flush()


def pieces(lines: list[str]) -> list[str]:
    """Join lines to pieces of at most PIPE_BUF bytes, as far as no line is longer itself."""
    joined, room = [""], select.PIPE_BUF
    for line in lines:
        size = len(line.encode(errors="replace"))
        if size > room:
            joined.append("")
            room = select.PIPE_BUF
        joined[-1] += line
        room -= size
    return [piece for piece in joined if piece]


class WithoutQueries(logging.Filter):
    """Takes queries out of a library's log lines: they hold tokens and signatures."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the line and its traceback; let it pass."""
        record.msg, record.args = QUERY.sub("?...", record.getMessage()), ()
        if record.exc_info:
            record.exc_text = QUERY.sub(
                "?...", logging.Formatter().formatException(record.exc_info)
            )
        return True


def last_lines(log: Path) -> str:
    """Return the end of a log, nothing where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LAST_LINES:])
