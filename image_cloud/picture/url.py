"""The URL of an original: parsed once, strictly, so that every part reads it the same way."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
import socket

import idna

from image_cloud.errors import BadParameter, UrlForbidden
from image_cloud.picture.key import key_of

MAX_CHARACTERS = 8000
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"//([^/?#]*)([^#]*)")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]*))?")
_NAMED = re.compile(r"([^:\[\]]+)(?::([0-9]*))?")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_LAST_LABEL_OF_IPV4 = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_TO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^\x21-\x7e]")


@dataclasses.dataclass(frozen=True)
class Url:
    """An absolute http or https URL; two are equal where their texts are.

    `text` is the URL as given.  `host` is lower-case ASCII without brackets and without a trailing
    dot; an address stands in its usual form (127.0.0.1 for 0x7f.1).  `tail` is path and query as
    given, without the fragment.
    """

    text: str
    scheme: str = dataclasses.field(compare=False)
    host: str = dataclasses.field(compare=False)
    port: int = dataclasses.field(compare=False)
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
            raise _bad(f"no // follows {scheme}:", "http://HOST/PATH or https://HOST/PATH")
        authority, tail = match.groups()
        host, port = _server(scheme, authority)
        return cls(text, scheme, host, port, tail)

    def __str__(self) -> str:
        return self.text

    @functools.cached_property
    def key(self) -> str:
        """Return the cache key."""
        return key_of(self.text)

    @functools.cached_property
    def target(self) -> str:
        """Return path and query as they are sent in the request line."""
        return _wire_target(self.tail)

    @property
    def host_header(self) -> str:
        """Return the value of the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_address(host: str) -> bool:
    """Say whether the host of a parsed URL is an address: no name looks like one."""
    return ":" in host or host.replace(".", "").isdigit()


@functools.lru_cache(maxsize=1024)  # long lists of URLs name the same few servers
def _server(scheme: str, authority: str) -> tuple[str, int]:
    host_text, port_text = _split_authority(authority)
    host = _address(host_text) if authority.startswith("[") else _name_or_ipv4(host_text)
    return host, _port(port_text, scheme)


def _bad(came: str, allowed: str) -> BadParameter:
    return BadParameter(f"url: {came}; allowed is {allowed}")


def _shown(text: str) -> str:
    """Quote the start of `text` for an error; never what might hold a password."""
    return "text that is not repeated here" if "@" in text else repr(text[:60])


def _split_scheme(text: str) -> tuple[str, str]:
    if len(text) > MAX_CHARACTERS:
        raise _bad(f"{len(text)} characters came", f"at most {MAX_CHARACTERS}")
    if found := _NEVER.search(text):
        raise _bad(
            f"the character {found[0]!r} stands at position {found.start()}",
            "no control character and no backslash",
        )
    match = _SCHEME.fullmatch(text)
    if not match:
        raise _bad(f"{_shown(text)} came", "an absolute URL that starts with http:// or https://")
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise UrlForbidden(f"url: the scheme {scheme[:20]!r} came; allowed are http and https")
    return scheme, match[2]


def _split_authority(authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise _bad("a user name or password came", "HOST or HOST:PORT")
    match = (_BRACKETED if authority.startswith("[") else _NAMED).fullmatch(authority)
    if not match:
        raise _bad(f"the host {_shown(authority)} came", "HOST, HOST:PORT or [IPV6]:PORT")
    return match[1], match[2] or ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise _bad(f"[{text[:60]}] came", "an IPv6 address between the brackets") from None


def _name_or_ipv4(text: str) -> str:
    name = (text if text.isascii() else _idna(text)).lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise _bad(f"the host {_shown(text)} came", "a host name or an address")
    if not _LAST_LABEL_OF_IPV4.fullmatch(name):
        return name
    try:  # 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 are what the resolver would make of them
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        raise _bad(f"the host {_shown(text)} came", "an IPv4 address like 192.0.2.1") from None


def _idna(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise _bad(f"the host {_shown(text)} came", "a name that IDNA can encode") from None


def _port(text: str, scheme: str) -> int:
    if not text:
        return DEFAULT_PORTS[scheme]
    if len(text) > 5 or not 1 <= int(text) <= 65535:
        raise _bad(f"port {text[:10]} came", "1 to 65535")
    return int(text)


def _wire_target(tail: str) -> str:
    """Return path and query for the request line; valid escapes stay as they are."""
    raw = (tail if tail.startswith("/") else "/" + tail).encode("utf-8")
    return _TO_ESCAPE.sub(lambda match: b"%%%02X" % match[0][0], raw).decode("ascii")
