"""supervisord's logs on a full disk: lines are lost, and nothing else.

By itself supervisord prints such an error to its stderr, which is on the same disk, and dies of that; one
in a program's log closes the pipe that the program writes to.
"""

from __future__ import annotations

import contextlib
from typing import Any

from supervisor import loggers

_emit = loggers.RotatingFileHandler.emit


def lose_what_cannot_be_written() -> None:
    """Change supervisord's log handlers, which know no such setting."""
    loggers.Handler.handleError = _ignore
    loggers.RotatingFileHandler.emit = emit


def emit(handler: Any, record: Any) -> None:
    """Write one record and rotate; where that fails, open the file again for the next."""
    try:
        _emit(handler, record)
    except (OSError, ValueError):  # a file that could not be closed, or is closed
        with contextlib.suppress(OSError):
            handler.stream = open(handler.baseFilename, "ab")  # noqa: SIM115


def _ignore(_handler: Any) -> None:
    """Stand for Handler.handleError, within whose `except` it is called."""
