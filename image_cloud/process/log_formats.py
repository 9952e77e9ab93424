"""What a log line looks like: `key=value` facts (logfmt), or the same facts as JSON, with an id."""

from __future__ import annotations

import ast
import contextvars
import json
import logging
import re
import time

NO_ID = "-"
current_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_id", default=NO_ID)
"""The id of the request, or of the batch, that this thread works for."""

FORMATS = ("logfmt", "json")
_FACT = re.compile(
    r"""(?P<name>[A-Za-z_][\w.]*)=(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'"]*)(?:\s+|$)"""
)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d+)?")


def formatter(name: str) -> logging.Formatter:
    """Return the formatter of the ini's `log_format`, one of FORMATS."""
    return Json() if name == "json" else Logfmt()


class Logfmt(logging.Formatter):
    """`TIME level=... process=... id=... event=... key=value ...`; without an id where there is none."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and after it a traceback where there is one."""
        identity = current_id.get()
        shown = f" id={identity}" if identity != NO_ID else ""
        head = f"{_time(record)} level={record.levelname} process={record.process}{shown}"
        return "\n".join([f"{head} {record.getMessage()}", *_traceback(self, record)])


class Json(logging.Formatter):
    """One object a line; numbers are numbers.  What is no list of facts is its `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {"time": _time(record), "level": record.levelname}
        line["process"] = record.process
        if current_id.get() != NO_ID:
            line["id"] = current_id.get()
        message = record.getMessage()
        line |= _facts(message) or {"message": message}
        if traceback := _traceback(self, record):
            line["traceback"] = traceback[0]
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
    return f"{moment}.{record.msecs:03.0f}"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return [record.exc_text] if record.exc_text else []


def _facts(message: str) -> dict[str, object]:
    """Return the facts of a line; none where it is anything else."""
    found: dict[str, object] = {}
    place = 0
    for match in _FACT.finditer(message):
        if match.start() != place:
            return {}
        found[match["name"]] = _value(match["value"])
        place = match.end()
    return found if place == len(message) else {}


def _value(text: str) -> object:
    if text[:1] in ("'", '"'):
        return ast.literal_eval(text)
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
