"""How one option is read from text: strict types, units and ranges.

Each function returns a dataclass field whose metadata carries `Option`: what the option means, the
form that is expected, and how to turn text into the value and back.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from typing import Any

from image_cloud.picture.address import host as hosts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its meaning, its expected form, and the way from text to value and back."""

    help: str
    form: str
    parse: Callable[[str], Any]  # raises ValueError when the text is not of the form
    show: Callable[[Any], str] = str


def _field(default: Any, option: Option) -> Any:
    return dataclasses.field(default=default, metadata={"option": option})


def text(default: str, help: str, *, pattern: str = r".*", form: str = "text") -> Any:
    """Return an option that is any text fully matched by `pattern`."""

    def parse(raw: str) -> str:
        if not re.fullmatch(pattern, raw):
            raise ValueError
        return raw

    return _field(default, Option(help, form, parse))


BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def flag(default: bool, help: str) -> Any:
    """Return a boolean option; only `true`, `false`, `1` and `0` are understood."""

    def parse(raw: str) -> bool:
        if raw.lower() not in BOOLEANS:
            raise ValueError
        return BOOLEANS[raw.lower()]

    return _field(default, Option(help, "true or false", parse, lambda value: str(value).lower()))


def whole(default: int, low: int, high: int, help: str) -> Any:
    """Return an option that is a whole number from `low` to `high`."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", raw) or not low <= int(raw) <= high:
            raise ValueError
        return int(raw)

    return _field(default, Option(help, f"a whole number, {low} to {high}", parse))


def number(default: float, low: float, high: float, help: str) -> Any:
    """Return an option that is a decimal number from `low` to `high`."""

    def parse(raw: str) -> float:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", raw) or not low <= float(raw) <= high:
            raise ValueError
        return float(raw)

    return _field(
        default, Option(help, f"a number, {low:g} to {high:g}", parse, lambda v: f"{v:g}")
    )


BYTE_UNITS = {
    "TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10,
    "TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1,
}  # fmt: skip


def bytes_of(raw: str) -> int:
    """Return the number of bytes in a text like `50 MB`.  Raises ValueError."""
    units = {unit.lower(): factor for unit, factor in BYTE_UNITS.items()}
    match = re.fullmatch(r"([0-9]+)\s*([a-z]+)", raw.lower())
    if not match or match[2] not in units:
        raise ValueError(f"{raw}: not a number of bytes with a unit, like 50 MB")
    return int(match[1]) * units[match[2]]


def size(default: int, low: int, high: int, help: str) -> Any:
    """Return an option that is a number of bytes with a unit, like `50 MB` or `1 GiB`."""

    def parse(raw: str) -> int:
        value = bytes_of(raw)
        if not low <= value <= high:
            raise ValueError
        return value

    def show(value: int) -> str:
        exact = [unit for unit, factor in BYTE_UNITS.items() if value % factor == 0]
        unit = min(exact, key=lambda unit: value // BYTE_UNITS[unit]) if value else "B"
        return f"{value // BYTE_UNITS[unit]} {unit}"

    form = f"bytes with a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), {show(low)} to {show(high)}"
    return _field(default, Option(help, form, parse, show))


SECOND_UNITS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}


def duration(default: float, low: float, high: float, help: str) -> Any:
    """Return an option that is a time span with a unit, like `20 s`, `10 min` or `90 d`; seconds."""

    def parse(raw: str) -> float:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h|d)", raw)
        if not match or not low <= float(match[1]) * SECOND_UNITS[match[2]] <= high:
            raise ValueError
        return float(match[1]) * SECOND_UNITS[match[2]]

    def show(value: float) -> str:
        whole_units = (u for u, f in SECOND_UNITS.items() if value >= f and value / f % 1 == 0)
        unit = next(whole_units, "ms")
        return f"{value / SECOND_UNITS[unit]:g} {unit}"

    form = f"a time with a unit (ms, s, min, h, d), {show(low)} to {show(high)}"
    return _field(default, Option(help, form, parse, show))


def listing(
    default: tuple[Any, ...],
    help: str,
    *,
    item: Callable[[str], Any] = str,
    form: str = "words separated by commas, or nothing",
    at_least: int = 0,
) -> Any:
    """Return an option that is a list separated by commas; each part goes through `item`."""

    def parse(raw: str) -> tuple[Any, ...]:
        parts = [part.strip() for part in raw.split(",")] if raw.strip() else []
        if "" in parts or len(parts) < at_least:
            raise ValueError
        return tuple(item(part) for part in parts)

    return _field(default, Option(help, form, parse, lambda v: ", ".join(str(part) for part in v)))


def whole_item(low: int, high: int) -> Callable[[str], int]:
    """Return a parser for one whole number of a list."""

    def parse(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise ValueError
        return int(raw)

    return parse


def choice_item(*choices: str) -> Callable[[str], str]:
    """Return a parser for one word of a list that must be one of `choices`."""

    def parse(raw: str) -> str:
        if raw not in choices:
            raise ValueError
        return raw

    return parse


def word_item(raw: str) -> str:
    """Parse one word, in any case; return it in lower case."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z_-]*", raw):
        raise ValueError
    return raw.lower()


def network_item(raw: str) -> Network:
    """Parse one network like `10.0.0.0/8`; a single address is a network of one."""
    return ipaddress.ip_network(raw)


def domain_item(raw: str) -> str:
    """Parse one domain name, in any script; it covers its sub-domains too."""
    return hosts.entry(raw)


def origin_item(raw: str) -> str:
    """Parse a web page's origin like `https://shop.example`, as browsers send it, or `*` for any."""
    if raw != "*" and not re.fullmatch(
        r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?", raw
    ):
        raise ValueError
    return raw


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another node: its name and its base URL, without a slash at its end.

    Its text is the form in the ini.
    """

    name: str
    url: str

    def __str__(self) -> str:
        return f"{self.name}={self.url}"


def peer_item(raw: str) -> Peer:
    """Parse one node like `ic01=http://ic01:5000`."""
    match = re.fullmatch(r"([a-z0-9][a-z0-9-]{0,62})\s*=\s*(https?://[A-Za-z0-9.:\[\]-]+?)/?", raw)
    if not match:
        raise ValueError
    return Peer(match[1], match[2])


def path(default: str, help: str) -> Any:
    """Return an option that is an absolute path, or one that starts in the home (`{home}/...`)."""
    return text(
        default,
        help,
        pattern=r"(/|\{home\}(/|$))[^\0;{}\"'\s$\\\\]*",
        form="an absolute path without blanks or quotes; {home} stands for the home folder",
    )


def optional_path(help: str) -> Any:
    """Return an option that is a path like that of `path`, or nothing."""
    form = "an absolute path without blanks or quotes, or nothing"
    return text("", help, pattern=r"((/|\{home\}(/|$))[^\0;{}\"'\s$\\\\]*)?", form=form)


def choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    """Return an option that is one of `choices`."""
    return _field(default, Option(help, "one of " + ", ".join(choices), choice_item(*choices)))
