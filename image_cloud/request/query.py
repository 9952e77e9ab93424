"""Query strings, read strictly: nginx and Python must never see two different requests in one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from image_cloud.errors import BadParameter

BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
SHOWN_CHARACTERS = 100


class Query:
    """The decoded parameters of one request, in the order they came; names are case-sensitive.

    `raw` is QUERY_STRING as WSGI gives it: bytes as Latin-1.  `accept` is the request's header Accept, which
    decides where a format is left to it.
    """

    def __init__(self, raw: str, accept: str | None = None) -> None:
        self.accept = accept
        self._raw: dict[str, list[str]] = {}
        for part in raw.split("&"):
            if part:
                name, _, value = part.partition("=")
                self._raw.setdefault(_decode_name(name), []).append(value)

    def items(self) -> list[tuple[str, str]]:
        """Return all parameters decoded.  Raises BadParameter."""
        return [(name, decode(name, raw)) for name, values in self._raw.items() for raw in values]

    def has_any(self, names: frozenset[str]) -> bool:
        """Say whether one of these parameters came."""
        return not names.isdisjoint(self._raw)

    def count(self, name: str) -> int:
        """Return how often the parameter came."""
        return len(self._raw.get(name, ()))

    def text(self, *names: str) -> str | None:
        """Return the value of the one parameter that has any of these spellings, None without it.

        Raises BadParameter for duplicates, broken escapes and bytes that are not UTF-8.
        """
        if self._raw.keys().isdisjoint(names):
            return None
        found = [(name, raw) for name in names for raw in self._raw.get(name, ())]
        if len(found) > 1:
            raise BadParameter(f"{names[0]}: given {len(found)} times, allowed is once")
        return decode(*found[0])

    def boolean(self, *names: str, default: bool = False) -> bool:
        """Return a boolean parameter.  Raises BadParameter."""
        value = self.text(*names)
        if value is None:
            return default
        if value.lower() not in BOOLEANS:
            raise BadParameter(f"{names[0]}: {shown(value)} is not one of true, false, 1, 0")
        return BOOLEANS[value.lower()]

    def whole(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number from `low` to `high`, None without it.  Raises BadParameter."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,10}", value) or not low <= int(value) <= high:
            raise BadParameter(f"{name}: {shown(value)} is not a whole number from {low} to {high}")
        return int(value)

    def side(self, name: str, most: int) -> int | None:
        """Return a number of pixels, 1 to `most`; None without it, or where it is empty or 0.

        Raises BadParameter.
        """
        is_given = (self.text(name) or "").strip("0") != ""
        return self.whole(name, 1, most) if is_given else None

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a decimal number from `low` to `high`, None without it.  Raises BadParameter."""
        value = self.text(name)
        if value is None:
            return None
        if (
            not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,10})?", value)
            or not low <= float(value) <= high
        ):
            raise BadParameter(f"{name}: {shown(value)} is not a number from {low:g} to {high:g}")
        return float(value)

    def choice(
        self, name: str, choices: Iterable[str], default: str, aliases: Mapping[str, str]
    ) -> str:
        """Return one of `choices`, in any case and by any of its `aliases`.  Raises BadParameter."""
        value = self.text(name)
        if value is None:
            return default
        chosen = aliases.get(value.lower(), value.lower())
        if chosen not in choices:
            raise BadParameter(f"{name}: {shown(value)} is not one of {', '.join(choices)}")
        return chosen


def decode(name: str, raw: str) -> str:
    """Percent-decode one value once; `+` is a blank.  Raises BadParameter."""
    if BROKEN_ESCAPE.search(raw):
        raise BadParameter(f"{name}: {shown(raw)} has a broken percent-escape; % is written %25")
    try:
        return unquote_to_bytes(raw.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadParameter(f"{name}: {shown(raw)} is not UTF-8") from None


def shown(value: str) -> str:
    """Quote what came, shortened, for an error text."""
    cut = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "..."
    return ascii(cut)


def _decode_name(raw: str) -> str:
    if raw.isascii() and raw.isidentifier():  # as every name that we know
        return raw
    return unquote_to_bytes(raw.replace("+", " ").encode("latin-1")).decode("utf-8", "replace")
