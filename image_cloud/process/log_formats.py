"""What a log line looks like: `key=value` facts (logfmt), or the same facts as JSON, with an id."""

from __future__ import annotations

import contextvars
import json
import logging
import re
import time
from collections.abc import Callable

NO_ID = "-"
current_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_id", default=NO_ID)
"""The id of the request, or of the batch, that this thread works for."""

FORMATS = ("logfmt", "json")
_FACT = re.compile(
    r"""(?P<name>[A-Za-z_][\w.]*)=(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'"]*)(?:\s+|$)""",
    re.ASCII,
)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d+)?", re.ASCII)
_WORDS = {"True": True, "False": False, "None": None}
_BARE = re.compile(r"[!#-<>-\[\]-~]*")
_PLAIN_FACT = r"[A-Za-z_][\w.]*=[!#-&(-<>-\[\]-~]*"
_PLAIN = re.compile(f"{_PLAIN_FACT}(?: {_PLAIN_FACT})*", re.ASCII)


def formatter(name: str) -> logging.Formatter:
    """Return the formatter of the ini's `log_format`, one of FORMATS."""
    return Json() if name == "json" else Logfmt()


class Logfmt(logging.Formatter):
    """`time=... level=... process=... id=... event=... key=value ...`; without an id where there is none.

    What is no list of facts is its `message`; values with blanks and the like are quoted as in JSON.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        words = [_pair(name, value) for name, value in _head(record).items()]
        if _PLAIN.fullmatch(message):  # most lines, and quickly
            words.append(message)
        else:
            words += [_pair(name, str(value)) for name, value in _facts(message, str).items()]
        words += [_pair("traceback", text) for text in _traceback(self, record)]
        return " ".join(words)


class Json(logging.Formatter):
    """One object a line; numbers and booleans are such.  What is no list of facts is its `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = _head(record) | _facts(record.getMessage(), _value)
        if traceback := _traceback(self, record):
            line["traceback"] = traceback[0]
        return json.dumps(line)


def _head(record: logging.LogRecord) -> dict[str, object]:
    head: dict[str, object] = {"time": _time(record), "level": record.levelname}
    head["process"] = record.process
    identity = current_id.get()
    return head if identity == NO_ID else head | {"id": identity}


def _pair(name: str, value: object) -> str:
    """Return one fact as logfmt writes it."""
    text = str(value)
    return f"{name}={text if _BARE.fullmatch(text) else json.dumps(text)}"


def _time(record: logging.LogRecord) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
    return f"{moment}.{record.msecs:03.0f}"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return [record.exc_text] if record.exc_text else []


def _facts(message: str, read: Callable[[str], object]) -> dict[str, object]:
    """Return the facts of a line, each value by `read`; the whole as `message` where it is anything else."""
    found: dict[str, object] = {}
    place = 0
    for match in _FACT.finditer(message):
        if match.start() != place:
            break
        text = match["value"]
        found[match["name"]] = _unquoted(text) if text[:1] in ("'", '"') else read(text)
        place = match.end()
    return found if found and place == len(message) else {"message": message}


def _unquoted(text: str) -> str:
    """Return what Python's `repr` quoted; anything else as it is."""
    import ast  # half a megabyte, and few lines quote

    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return text


def _value(text: str) -> object:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _WORDS.get(text, text)
