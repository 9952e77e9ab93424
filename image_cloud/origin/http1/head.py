"""The head of a response: its status line and header lines, read as browsers read them.

A line that breaks the grammar is dropped, the others count.  The work is linear in the head's bytes.
"""

from __future__ import annotations

import dataclasses
import re

from image_cloud.errors import OriginProtocol

ASSUMED_STATUS = 200
BLANKS = " \t"
_CR = ord("\r")
MOST_BLANKS = 64  # line ends before the status line, left over from the answer before
_VERSION = re.compile(r".{0,4}?http(?:/([0-9]{1,3})(?:\.([0-9]{1,3}))?)?", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclasses.dataclass(frozen=True)
class Head:
    """A parsed head; `fields` has all values of each lower-case name, as Latin-1.

    `is_clean` says that no line was dropped.
    """

    version: tuple[int, int]
    status: int
    fields: dict[str, list[str]]
    is_clean: bool

    def first(self, name: str) -> str | None:
        """Return the first value of the header `name` (lower-case), None without one."""
        return self.fields[name][0] if name in self.fields else None

    def items(self, name: str) -> list[str]:
        """Return the parts of the comma-separated header `name`, lower-case, empty ones included."""
        if name not in self.fields:
            return []
        return [part.strip(BLANKS).lower() for part in ",".join(self.fields[name]).split(",")]


def parse(block: bytes) -> Head:
    """Read a head; a bare CR ends a line as a bare LF does.  Raises OriginProtocol."""
    lines = block.decode("latin-1").replace("\r", "\n").split("\n")
    lines = [line for line in lines if line]
    version, status = _status_line(lines[0] if lines else "")
    fields: dict[str, list[str]] = {}
    read = 0
    for line in _unfolded(lines[1:]):
        name, colon, value = line.partition(":")
        name = name.rstrip(BLANKS)
        if colon and "\0" not in value and _TOKEN.fullmatch(name):
            fields.setdefault(name.lower(), []).append(value.strip(BLANKS))
            read += 1
    return Head(version, status, fields, is_clean=read == len(lines) - 1)


def _status_line(line: str) -> tuple[tuple[int, int], int]:
    """Return version and status; as in browsers, HTTP without a status is a 200."""
    match = _VERSION.match(line)
    if not match:
        raise OriginProtocol("malformed response: it does not begin with HTTP")
    major, minor = match.groups()
    behind = line[match.end() :].replace("\t", " ").partition(" ")[2].lstrip(" ")
    digits = _DIGITS.match(behind)[0]  # type: ignore[index]
    if digits and len(digits.lstrip("0")) != 3:
        raise OriginProtocol("malformed response: its status is not a number from 100 to 999")
    return (int(major or 1), int(minor or 0)), int(digits or ASSUMED_STATUS)


def _unfolded(lines: list[str]) -> list[str]:
    """Join lines that begin with a blank to the header before them (RFC 9112, 5.2)."""
    if not any(line[0] in BLANKS for line in lines):
        return lines
    joined: list[list[str]] = []
    for line in lines:
        if line[0] not in BLANKS:
            joined.append([line])
        elif joined:
            joined[-1].append(line.strip(BLANKS))
    return [" ".join(parts) for parts in joined]


class HeadEnd:
    """Finds the end of a head in a buffer that grows; looks at each byte a bounded number of times."""

    def __init__(self) -> None:
        self._line = self._searched = self._searched_cr = 0
        self._has_line = False

    def find(self, buffer: bytearray) -> int | None:
        """Return the offset behind the blank line, None while it is not there.

        Raises OriginProtocol as soon as the buffer cannot be HTTP any more.
        """
        if not self._has_line:
            _check_start(buffer)
        if not self._line and (end := self._find_bare_cr(buffer)):
            return end
        while (at := buffer.find(b"\n", self._searched)) >= 0:
            is_blank = not buffer[self._line : at].strip(b"\r")
            self._line = self._searched = at + 1
            if is_blank and self._has_line:
                return self._line
            self._has_line = self._has_line or not is_blank
        self._searched = len(buffer)
        return None

    def _find_bare_cr(self, buffer: bytearray) -> int | None:
        """Look for two CR before the first LF: some servers end all their lines so."""
        first_lf = buffer.find(b"\n", self._searched)
        limit = first_lf if first_lf >= 0 else len(buffer)
        while (at := buffer.find(b"\r\r", self._searched_cr, limit)) >= 0 and at + 2 < limit:
            if buffer[at + 2] != _CR:
                return at + 2
            self._searched_cr = at + 1
        self._searched_cr = at if at >= 0 else max(self._searched_cr, limit - 1)
        return None


def _check_start(buffer: bytearray) -> None:
    start = buffer[: MOST_BLANKS + 8].lstrip(b"\r\n")[:8].upper()
    may_be_http = any(b"HTTP".startswith(start[skipped : skipped + 4]) for skipped in range(5))
    if not may_be_http or (not start and len(buffer) > MOST_BLANKS):
        raise OriginProtocol("malformed response: it does not begin with HTTP")
