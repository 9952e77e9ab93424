"""`max_downloads.json`: how many downloads may run at once from each domain.

    {"default": 8, "pinimg.com": 4, "img.shop.example": 1}

An entry covers its sub-domains and all of them share its number; the longest match wins.  A host that no
entry covers has `default` for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image_cloud.picture.address import host as hosts
from image_cloud.picture.url import Url, is_address
from image_cloud.process import json_file
from image_cloud.process.reread import Reread

log = logging.getLogger(__name__)

DEFAULT = 8
MOST = 1000
CAREFUL = 1  # with a broken file and no earlier one
USUAL_PORTS = (80, 443)


@dataclasses.dataclass(frozen=True)
class Domain:
    """What stands together: `slots` names those who share `most` downloads at once.

    `name` is the unit of fairness and politeness: the same, and `/PORT` where the port is an
    unusual one, since that is another server.
    """

    name: str
    slots: str
    most: int


class LimitsError(ValueError):
    """The limits file is not as it should be; the text says where."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """One state of the file."""

    default: int
    entries: dict[str, int]

    def domain_of(self, url: Url) -> Domain:
        """Return the domain that a request to `url` counts for."""
        slots, most = self._covering(url.host)
        return Domain(slots if url.port in USUAL_PORTS else f"{slots}/{url.port}", slots, most)

    def domain_named(self, name: str) -> Domain:
        """Return the domain called `name` under an earlier state of the file, as it is now."""
        host, slash, port = name.partition("/")
        slots, most = self._covering(host)
        return Domain(f"{slots}{slash}{port}", slots, most)

    def _covering(self, host: str) -> tuple[str, int]:
        if host in self.entries:
            return host, self.entries[host]
        part = "" if is_address(host) else host
        while part:
            part = part.partition(".")[2]
            if part in self.entries:
                return part, self.entries[part]
        return host, self.default


def parse(text: str) -> Limits:
    """Read the file's text.  Raises LimitsError that names entry, value and what is expected."""
    try:
        return _limits(json_file.parse_pairs(text, _without_duplicates))
    except ValueError as error:
        raise LimitsError(str(error)) from None


def _limits(content: Any) -> Limits:
    if not isinstance(content, dict):
        raise LimitsError('expected an object like {"default": 8, "shop.example": 2}')
    numbers = {name: _number(name, value) for name, value in content.items()}
    default = numbers.pop("default", DEFAULT)
    entries = {_host(name): number for name, number in numbers.items()}
    if len(entries) < len(numbers):
        raise LimitsError("two entries are for the same domain")
    return Limits(default, entries)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LimitsError(f"{twice!r} is given twice")
    return found


def _number(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST:
        hint = " (to fetch nothing from a domain: download.deny_domains)" if value == 0 else ""
        shown = json.dumps(value)[:60]
        raise LimitsError(f"{name!r}: {shown} is not a whole number from 1 to {MOST}{hint}")
    return value


def _host(name: str) -> str:
    try:
        return hosts.entry(name)
    except ValueError:
        raise LimitsError(f"{name!r} is not a domain name or an address without port") from None


class LimitsFile:
    """The file as it stands; a broken one is not taken.

    `last_good` is where a copy is kept for a process that starts while the file at `path` is broken.
    """

    def __init__(
        self, path: Path, last_good: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._last_good = last_good
        self._file = Reread(path, self._read, _kept(last_good), "limits", clock)

    def current(self) -> Limits:
        """Return the limits that hold now."""
        return self._file.current()

    def _read(self, path: Path) -> Limits:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = "{}"
        limits = parse(text)
        log.info("event=limits_read entries=%d default=%d", len(limits.entries), limits.default)
        with contextlib.suppress(OSError):  # a full disk costs only the copy
            json_file.write(self._last_good, {"default": limits.default, **limits.entries})
        return limits


def _kept(path: Path) -> Limits:
    try:
        return _limits(json_file.read(path, dict[str, int]))
    except LimitsError:
        return Limits(CAREFUL, {})
