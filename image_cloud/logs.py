"""Logs: one line of `key=value` facts per finished piece of work, to standard error."""

from __future__ import annotations

import logging
import re
import sys

FORMAT = "%(asctime)s.%(msecs)03d level=%(levelname)s process=%(process)d %(message)s"
QUERY = re.compile(r"\?.*")  # to the end of the line: a query may hold quotes and what else


def set_up_logging(level: str) -> None:
    """Log `level` (a name in any case) and above; supervisord keeps and rotates the lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT, "%Y-%m-%dT%H:%M:%S"))
    # Not in FORMAT, and looked up for every line.
    logging.logThreads = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("urllib3", "requests", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


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
