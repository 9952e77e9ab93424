"""Path and query of a URL as they go on the wire: what a browser sends (WHATWG URL standard)."""

from __future__ import annotations

import re

_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?=/|\Z)", re.IGNORECASE)
# The standard's "path percent-encode set" and "special-query percent-encode set", as what stays.
_ESCAPED_IN_PATH = re.compile(rb"[^!$-;=@-\]_a-z|~]")
_ESCAPED_IN_QUERY = re.compile(rb"[^!$-&(-;=?-~]")
_NOT_OF_RFC_3986 = re.compile(r"%(?![0-9A-Fa-f]{2})|[\[\\\]^`{|}]")


def of(tail: str) -> str:
    """Return the request target for `tail`, the text between a URL's host and its fragment.

    Escapes that stand there already stay as they are, broken ones included.
    """
    path, mark, query = tail.partition("?")
    path = _without_dots(path if path.startswith("/") else "/" + path)
    return _escape(_ESCAPED_IN_PATH, path) + mark + _escape(_ESCAPED_IN_QUERY, query)


def strict(target: str) -> str:
    """Escape what browsers send and RFC 3986 forbids: a broken escape, brackets, `|` and their like."""
    return _NOT_OF_RFC_3986.sub(lambda match: f"%{ord(match[0]):02X}", target)


def _without_dots(path: str) -> str:
    """Resolve the segments `.` and `..`, in all spellings, of an absolute path."""
    if not _DOTS.search(path):
        return path
    kept: list[str] = []
    dots = ""
    for segment in path[1:].split("/"):
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):  # what stood before the last segment is a folder
        kept.append("")
    return "/" + "/".join(kept)


def _escape(characters: re.Pattern[bytes], text: str) -> str:
    escaped = characters.sub(lambda match: b"%%%02X" % match[0][0], text.encode())
    return escaped.decode("ascii")
