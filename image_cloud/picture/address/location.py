"""Where a redirect leads: `Location`, read as browsers read it (WHATWG URL standard)."""

from __future__ import annotations

import dataclasses
import re

from image_cloud.errors import UrlForbidden
from image_cloud.picture.address import target as targets
from image_cloud.picture.url import DEFAULT_PORTS, MAX_CHARACTERS, Url, bad, server

_OUTER_BLANKS = "".join(map(chr, range(0x21)))
_LINE_BREAKS_AND_TABS = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_SERVER = re.compile(r"[/\\]*([^/\\?]*)(.*)", re.DOTALL)
_TWO_SLASHES = re.compile(r"[/\\]{2}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def resolve(base: Url, location: str) -> Url:
    """Return the URL that `location`, relative or absolute, means on the page `base`.

    A backslash counts as a slash, tabs and line breaks as nothing, and 0x7f.1 is 127.0.0.1.  Raises
    BadParameter for what no browser follows, a user name or a password; UrlForbidden for another
    scheme than http and https.
    """
    if len(location) > MAX_CHARACTERS or _SURROGATE.search(location):
        raise bad(f"{len(location)} characters came", f"text of at most {MAX_CHARACTERS}")
    text = location.strip(_OUTER_BLANKS).translate(_LINE_BREAKS_AND_TABS).partition("#")[0]
    scheme, rest = _split(base, text)
    if scheme == base.scheme and not _TWO_SLASHES.match(rest):
        return _with_tail(base, _relative(base, rest))
    authority, tail = _SERVER.fullmatch(rest).groups()  # type: ignore[union-attr]
    return _with_tail(Url("", scheme, *server(scheme, authority, odd_ipv4=True), ""), tail)


def _split(base: Url, text: str) -> tuple[str, str]:
    """Return scheme and rest; the scheme is that of `base` where `text` has none."""
    match = _SCHEME.fullmatch(text)
    if not match:
        return base.scheme, text
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise UrlForbidden(f"url: the scheme {scheme[:20]!r} came; allowed are http and https")
    return scheme, match[2]


def _relative(base: Url, rest: str) -> str:
    path, _, _ = base.target.partition("?")
    if not rest:
        return base.target
    if rest[0] in "/\\":
        return rest
    return path + rest if rest[0] == "?" else path[: path.rindex("/") + 1] + rest


def _with_tail(url: Url, tail: str) -> Url:
    path, mark, query = tail.partition("?")
    target = targets.of(path.replace("\\", "/") + mark + query)
    text = f"{url.scheme}://{url.host_header}{target}"
    return dataclasses.replace(url, text=text, tail=target)
