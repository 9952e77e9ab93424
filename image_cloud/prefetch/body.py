"""The body of POST /fire_and_forget: `{"urls": [...]}`, and optional members (`Order`).

It is read piece by piece, so that nothing is built that is not kept: a body of 32 MiB of brackets costs
no more memory than its own.  Members that are not known are passed over.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from image_cloud.errors import BadRequestBody, RequestTooLarge
from image_cloud.process.readable import Readable

MAX_BYTES = 32 * 2**20
MAX_URLS = 100_000
READ_BYTES = 2**20
PRIORITIES = range(-1000, 1001)
EXPECTED = 'expected is {"urls": ["http://...", ...]}'
LONGEST_OTHER_MEMBER = 4096  # characters
LONGEST_CALLBACK = 2000
MOST_AGE_S = 2**31 - 1

# The usual element: a string without escapes, and what follows it.
_PLAIN = re.compile(r'[ \t\r\n]*"([^"\\\x00-\x1f]*)"[ \t\r\n]*([,\]])')
_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = json.JSONDecoder()


@dataclasses.dataclass(frozen=True)
class Order:
    """What a client hands over; `thumbnails` are sizes, without repetition and in order.

    `callback` is the URL that is to be told of the batch's end, empty without one.  What is here is asked
    for again where it was last seen at its origin longer than `max_age` seconds ago, None: not at all.
    """

    urls: list[str]
    thumbnails: tuple[int, ...] = ()
    priority: int = 0
    callback: str = dataclasses.field(default="", repr=False)
    max_age: int | None = None


class Body:
    """A body that is still to be read from `stream`; `length` is what its sender declares, if anything."""

    def __init__(self, stream: Readable, length: int | None) -> None:
        self._stream = stream
        self._length = length

    def order(self, thumbnail_sizes: tuple[int, ...]) -> Order:
        """Read it.  Raises what `read_order` raises, as early as may be."""
        return read_order(self._read(), thumbnail_sizes)

    def _read(self) -> bytes:
        if (self._length or 0) > MAX_BYTES:
            raise _too_many_bytes()
        body = bytearray()
        while block := self._stream.read(READ_BYTES):
            body += block
            if len(body) > MAX_BYTES:
                raise _too_many_bytes()
        return bytes(body)


def read_order(body: bytes, thumbnail_sizes: tuple[int, ...]) -> Order:
    """Read a body.  Raises BadRequestBody that names member and place, and RequestTooLarge."""
    reader = _Reader(_text(body))
    del body
    members = reader.members()
    if "urls" not in members:
        raise BadRequestBody(f"urls: missing; {EXPECTED}")
    thumbnails = _sizes(members.get("thumbnails", []), thumbnail_sizes)
    priority = _priority(members.get("priority", 0))
    callback, max_age = _callback(members.get("callback")), _max_age(members.get("max_age"))
    return Order(members["urls"], thumbnails, priority, callback, max_age)


def _too_many_bytes() -> RequestTooLarge:
    """Return the error of a body that is too long."""
    return RequestTooLarge(
        f"the body is larger than {MAX_BYTES // 2**20} MiB ({MAX_BYTES} bytes), the most for one call"
    )


class _Reader:
    """Walks over one JSON text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self) -> dict[str, Any]:
        """Read the whole text as one object."""
        found: dict[str, Any] = {}
        self._expect("{", f"the body is not a JSON object; {EXPECTED}")
        separator = "}" if self._take("}") else ","
        while separator == ",":
            name = self._string("the name of a member")
            self._expect(":", f"no colon after {_shown(name)}")
            if name in found:
                raise self._error(f"{_shown(name)} is given twice")
            found[name] = self._urls() if name == "urls" else self._other(name)
            separator = self._one_of(",}", f"neither a comma nor a brace after {_shown(name)}")
        self._skip()
        if self._at < len(self._text):
            raise self._error("more follows after the object")
        return found

    def _urls(self) -> list[str]:
        self._expect("[", "urls: not a list of strings")
        found: list[str] = []
        separator = "]" if self._take("]") else ","
        while separator == ",":
            if len(found) == MAX_URLS:
                raise RequestTooLarge(f"urls: more than {MAX_URLS} came, the most for one call")
            if plain := _PLAIN.match(self._text, self._at):
                self._at, separator = plain.end(), plain[2]
                found.append(plain[1])
                continue
            place = f"urls[{len(found)}]"
            found.append(self._string(place))
            separator = self._one_of(",]", f"urls: neither a comma nor a bracket after {place}")
        return found

    def _other(self, name: str) -> Any:
        self._skip()
        window = self._text[self._at : self._at + LONGEST_OTHER_MEMBER]
        try:
            value, length = _decoder.raw_decode(window)
        except (ValueError, RecursionError):
            raise self._error(
                f"{_shown(name)}: not JSON, or longer than {LONGEST_OTHER_MEMBER} characters"
            ) from None
        self._at += length
        return value

    def _string(self, what: str) -> str:
        self._expect('"', f"{what}: not a string")
        try:
            found, self._at = scanstring(self._text, self._at, True)
        except ValueError as error:
            raise self._error(f"{what}: {error.msg if hasattr(error, 'msg') else error}") from None
        return str(found)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, character: str) -> bool:
        self._skip()
        is_there = self._text.startswith(character, self._at)
        self._at += is_there
        return is_there

    def _expect(self, character: str, problem: str) -> None:
        if not self._take(character):
            raise self._error(problem)

    def _one_of(self, characters: str, problem: str) -> str:
        for character in characters:
            if self._take(character):
                return character
        raise self._error(problem)

    def _error(self, problem: str) -> BadRequestBody:
        return BadRequestBody(f"{problem} (at character {self._at} of the body)")


def _text(body: bytes) -> str:
    try:
        return body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestBody(f"the body is not UTF-8 at byte {error.start}") from None


def _sizes(value: Any, allowed: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(value, list) or any(
        type(size) is not int or size not in allowed for size in value
    ):
        listed = ", ".join(map(str, allowed))
        raise BadRequestBody(
            f"thumbnails: {_shown(value)} came; expected is a list out of {listed}"
        )
    return tuple(sorted(set(value)))


def _priority(value: Any) -> int:
    if type(value) is not int or value not in PRIORITIES:
        low, high = PRIORITIES[0], PRIORITIES[-1]
        raise BadRequestBody(
            f"priority: {_shown(value)} came; expected is a whole number from {low} to {high}"
        )
    return value


def _max_age(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MOST_AGE_S):
        return value
    raise BadRequestBody(
        f"max_age: {_shown(value)} came; expected is a whole number of seconds, 0 to {MOST_AGE_S}"
    )


def _callback(value: Any) -> str:
    """Return a callback; what came is not repeated: it may hold a secret of its receiver."""
    if value is None:
        return ""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_CALLBACK:
        raise BadRequestBody(
            f"callback: expected is an absolute http or https URL of at most {LONGEST_CALLBACK} characters"
        )
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:100] + "..."
