"""`origins.json`: headers that the requests to some hosts carry.

    {"shop.example": {"Referer": "https://shop.example/"},
     "*.shop.example": {"Cookie": "session=...", "credentials_over_http": true}}

A name is one host; `*.` before it means its sub-domains, and those alone; the longest match wins, and
nothing else is added to it.  `Authorization` and `Cookie` go over https alone unless the entry says
otherwise.  No value is ever repeated in an error or a log.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from image_cloud.picture.address import host as hosts
from image_cloud.picture.url import Url, is_address
from image_cloud.process import json_file

OVER_HTTP = "credentials_over_http"
CREDENTIALS = frozenset({"authorization", "cookie"})
# What frames the request and its answer, or makes the answer another than the whole picture.
REFUSED = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
    "host", "http2-settings", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "keep-alive", "max-forwards", "range", "te", "trailer",
    "transfer-encoding", "upgrade", "via",
})  # fmt: skip
REFUSED_START = "proxy-"
MOST_HEADERS, LONGEST_VALUE = 50, 8000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?")


class HeadersError(ValueError):
    """The file is not as it should be; `problems` has each mistake, in one line without a value."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclasses.dataclass(frozen=True)
class Extra:
    """The headers that one request carries besides the usual ones, by their names."""

    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def is_private(self) -> bool:
        """Say whether credentials are among them."""
        return any(name.lower() in CREDENTIALS for name in self.headers)


NOTHING = Extra()


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the file says for one name; `safe` is what goes over http."""

    full: Extra
    safe: Extra

    def of(self, scheme: str) -> Extra:
        """Return what goes over `scheme`."""
        return self.full if scheme == "https" else self.safe


@dataclasses.dataclass(frozen=True)
class RequestHeaders:
    """One state of the file: entries by host, and by the domain of `*.` names."""

    hosts: Mapping[str, Entry] = dataclasses.field(default_factory=dict)
    domains: Mapping[str, Entry] = dataclasses.field(default_factory=dict)

    def of(self, url: Url) -> Extra:
        """Return what a request for `url` carries."""
        entry = self.hosts.get(url.host) or self._below(url.host)
        return entry.of(url.scheme) if entry else NOTHING

    def _below(self, host: str) -> Entry | None:
        domain = "" if not self.domains or is_address(host) else host
        while domain:
            domain = domain.partition(".")[2]
            if domain in self.domains:
                return self.domains[domain]
        return None


def parse(text: str) -> RequestHeaders:
    """Read the file's text.  Raises HeadersError."""
    try:
        content = json_file.parse_pairs(text, _Object)
    except ValueError as error:
        raise HeadersError(str(error)) from None
    if not isinstance(content, _Object):
        raise HeadersError('expected an object like {"shop.example": {"Referer": "..."}}')
    problems = list(_problems(content))
    if problems:
        raise HeadersError(*problems)
    return _headers(content)


class _Object(list[tuple[str, Any]]):
    """A JSON object, with names that stand there twice."""


def _headers(content: _Object) -> RequestHeaders:
    exact: dict[str, Entry] = {}
    below: dict[str, Entry] = {}
    for name, fields in content:
        domain, is_wildcard = _domain(name)
        (below if is_wildcard else exact)[domain] = _entry(dict(fields))
    return RequestHeaders(exact, below)


def _entry(fields: dict[str, Any]) -> Entry:
    over_http = fields.pop(OVER_HTTP, False)
    full = Extra(fields)
    safe = {name: value for name, value in fields.items() if name.lower() not in CREDENTIALS}
    return Entry(full, full if over_http else Extra(safe))


def _domain(name: str) -> tuple[str, bool]:
    """Return the host or domain that an entry is for, and whether its sub-domains are meant.

    Raises ValueError.
    """
    domain = hosts.entry(name.removeprefix("*."))
    if name.startswith("*.") and is_address(domain):
        raise ValueError
    return domain, name.startswith("*.")


def _problems(content: _Object) -> Iterator[str]:
    seen = set()
    for name, fields in content:
        try:
            domain, is_wildcard = _domain(name)
        except ValueError:
            yield f"{_shown(name)} is neither a host without port nor *. and a domain"
            continue
        label = f"'{'*.' if is_wildcard else ''}{domain}'"
        if label in seen:
            yield f"{label} is given twice"
        seen.add(label)
        yield from (f"{label}: {problem}" for problem in _problems_of_entry(fields))


def _problems_of_entry(fields: Any) -> Iterator[str]:
    if not isinstance(fields, _Object) or len(fields) > MOST_HEADERS:
        yield f"expected an object of at most {MOST_HEADERS} headers"
        return
    seen = set()
    for name, value in fields:
        if name.lower() in seen:
            yield f"{_shown(name)} is given twice"
        seen.add(name.lower())
        problem = _problem_of_header(name, value)
        if problem:
            yield f"{_shown(name)}: {problem}"


def _problem_of_header(name: str, value: Any) -> str:
    if name == OVER_HTTP:
        return "" if isinstance(value, bool) else "expected true or false"
    if not _TOKEN.fullmatch(name):
        return "not the name of a header"
    if name.lower() in REFUSED or name.lower().startswith(REFUSED_START):
        return "this header is the service's own business"
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
        return f"expected text of 1 to {LONGEST_VALUE} printable ASCII characters, no blank at its ends"
    return ""


def _shown(name: str) -> str:
    """Quote a name as far as it looks like one: what follows could be a secret."""
    found = _TOKEN.match(name)
    return repr(found[0][:80]) if found else "a name that is none"
