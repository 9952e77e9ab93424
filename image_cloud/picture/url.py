"""The URL of an original: parsed once, strictly, so that every part reads it the same way."""

from __future__ import annotations

import dataclasses
import functools
import re

from image_cloud.errors import BadParameter, UrlForbidden
from image_cloud.picture.address import host as hosts
from image_cloud.picture.address import target as targets
from image_cloud.picture.key import key_of

MAX_CHARACTERS = 8000
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"//([^/?#]*)([^#]*)")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]*))?")
_NAMED = re.compile(r"([^:\[\]]+)(?::([0-9]*))?")
# What browsers strip at both ends; a NUL stays, and is refused: PostgreSQL keeps none.
_OUTER_BLANKS = "".join(map(chr, range(1, 0x21)))
_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")


@dataclasses.dataclass(frozen=True)
class Url:
    """An absolute http or https URL; two are equal where their texts are.

    `text` is the URL as given.  `host` is lower-case ASCII without brackets and without a trailing
    dot, `host_header` what the header of that name says.  `tail` is path and query as given, without
    the fragment.
    """

    text: str
    scheme: str = dataclasses.field(compare=False)
    host: str = dataclasses.field(compare=False)
    port: int = dataclasses.field(compare=False)
    host_header: str = dataclasses.field(compare=False)
    tail: str = dataclasses.field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read `text`.

        Raises BadParameter for what is malformed or what parsers disagree on, and UrlForbidden for
        another scheme than http and https.  Nothing is resolved and no address is judged here.
        """
        scheme, rest = _split_scheme(text)
        match = _AUTHORITY.match(rest)
        if not match:
            raise bad(f"no // follows {scheme}:", "http://HOST/PATH or https://HOST/PATH")
        authority, tail = match.groups()
        return cls(text, scheme, *server(scheme, authority), tail)

    def __str__(self) -> str:
        return self.text

    @functools.cached_property
    def key(self) -> str:
        """Return the cache key."""
        return key_of(self.text)

    @functools.cached_property
    def target(self) -> str:
        """Return path and query as they are sent in the request line."""
        return targets.of(self.tail)

    @property
    def strict(self) -> Url | None:
        """Return the URL for a server that takes RFC 3986 at its word, None where that is the same."""
        tail = targets.strict(self.target)
        return None if tail == self.target else dataclasses.replace(self, tail=tail)


def is_address(host: str) -> bool:
    """Say whether the host of a parsed URL is an address: no name looks like one."""
    return ":" in host or host.replace(".", "").isdigit()


@functools.lru_cache(maxsize=1024)  # long lists of URLs name the same few servers
def server(scheme: str, authority: str, odd_ipv4: bool = False) -> tuple[str, int, str]:
    """Return host, port and Host header of what stands between `//` and the path.

    `odd_ipv4` allows forms like 0x7f.1.  Raises BadParameter.
    """
    host_text, port_text = _split_authority(authority)
    port = _port(port_text, scheme)
    if authority.startswith("["):
        host = _ipv6(host_text)
        shown = f"[{host}]"
    else:
        host, shown = _name_or_ipv4(host_text, odd_ipv4)
    return host, port, shown if port == DEFAULT_PORTS[scheme] else f"{shown}:{port}"


def bad(came: str, allowed: str) -> BadParameter:
    """Return the error for a URL: what `came`, and what is `allowed`."""
    return BadParameter(f"url: {came}; allowed is {allowed}")


def _shown(text: str) -> str:
    """Quote the start of `text` for an error; never what might hold a password."""
    return "text that is not repeated here" if "@" in text else repr(text[:60])


def _split_scheme(text: str) -> tuple[str, str]:
    if len(text) > MAX_CHARACTERS:
        raise bad(f"{len(text)} characters came", f"at most {MAX_CHARACTERS}")
    inner = text.strip(_OUTER_BLANKS)
    if found := _NEVER.search(inner):
        raise bad(
            f"the character {found[0]!r} stands at position {text.index(inner) + found.start()}",
            "no control character inside and no backslash",
        )
    match = _SCHEME.fullmatch(inner)
    if not match:
        raise bad(f"{_shown(inner)} came", "an absolute URL that starts with http:// or https://")
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise UrlForbidden(f"url: the scheme {scheme[:20]!r} came; allowed are http and https")
    return scheme, match[2]


def _split_authority(authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise bad("a user name or password came", "HOST or HOST:PORT")
    match = (_BRACKETED if authority.startswith("[") else _NAMED).fullmatch(authority)
    if not match:
        raise bad(f"the host {_shown(authority)} came", "HOST, HOST:PORT or [IPV6]:PORT")
    return match[1], match[2] or ""


def _ipv6(text: str) -> str:
    try:
        return hosts.ipv6(text)
    except ValueError:
        raise bad(f"[{text[:60]}] came", "an IPv6 address between the brackets") from None


def _name_or_ipv4(text: str, odd_ipv4: bool) -> tuple[str, str]:
    """Return the host, and as browsers show it: a name keeps the dot at its end."""
    try:
        shown = hosts.name(text)
        address = hosts.ipv4(shown.removesuffix("."))
    except ValueError:
        raise bad(f"the host {_shown(text)} came", "a host name or an address") from None
    if address and address != text and not odd_ipv4:
        raise bad(f"the host {_shown(text)} came", "IPv4 as four decimal numbers: 192.0.2.1")
    return address or shown.removesuffix("."), address or shown


def _port(text: str, scheme: str) -> int:
    if not text:
        return DEFAULT_PORTS[scheme]
    digits = text.lstrip("0")
    if not 1 <= len(digits) <= 5 or int(digits) > 65535:
        raise bad(f"port {text[:10]} came", "1 to 65535")
    return int(digits)
