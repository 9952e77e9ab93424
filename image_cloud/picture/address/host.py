"""Host names and addresses of URLs, as browsers read them (WHATWG URL standard, "host parsing")."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote_to_bytes

_NAME = re.compile(r"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_NUMBER = re.compile(r"0x([0-9a-f]*)|0([0-7]*)|([1-9][0-9]*)")


def name(text: str) -> str:
    """Return the host name `text` in lower-case ASCII; a dot at its end stays.

    Percent-escapes are decoded and other scripts become A-labels (xn--...).  Raises ValueError for
    what IDNA forbids, and for what has no place in the DNS: empty or long labels, other characters
    than letters, digits, `-` and `_`.
    """
    unescaped = _unescaped(text)
    found = unescaped.lower() if unescaped.isascii() else _to_ascii(unescaped)
    if not _NAME.fullmatch(found):
        raise ValueError
    return found


def entry(text: str) -> str:
    """Return the host that a line of a configuration names, in the form of `Url.host`.

    A name may be in any script; an IPv6 address has no brackets.  Raises ValueError.
    """
    if ":" in text:
        return ipv6(text)
    found = name(text).removesuffix(".")
    if ipv4(found) not in (None, text):
        raise ValueError
    return found


def ipv4(name: str) -> str | None:
    """Return the IPv4 address that `name` spells, None where it is an ordinary name.

    `0x7f.1`, `017700000001` and `2130706433` are 127.0.0.1.  Raises ValueError for a name that ends
    in a number and is no address.
    """
    if not _ENDS_IN_A_NUMBER.fullmatch(name):
        return None
    *leading, last = [_number(part) for part in name.split(".")]
    if (
        len(leading) > 3
        or any(number > 255 for number in leading)
        or last >= 256 ** (4 - len(leading))
    ):
        raise ValueError
    whole = sum(number << 8 * (3 - place) for place, number in enumerate(leading)) + last
    return str(ipaddress.IPv4Address(whole))


def ipv6(text: str) -> str:
    """Return the IPv6 address `text`, which stood between brackets, in its usual form.

    Raises ValueError.
    """
    if "%" in text:
        raise ValueError
    return str(ipaddress.IPv6Address(text))


def _number(part: str) -> int:
    match = _NUMBER.fullmatch(part)
    if not match:
        raise ValueError
    hexadecimal, octal, decimal = match.groups()
    if hexadecimal is not None:
        return int(hexadecimal or "0", 16)
    return int(decimal) if decimal else int(octal or "0", 8)


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text


def _to_ascii(domain: str) -> str:
    # Here, as few URLs have such a name: the tables take 0.4 MB of each process.
    from image_cloud.picture.address import international

    return international.to_ascii(domain)
