"""A parameter of a query: how it is read, and what is told about it.

Parsing, `/openapi.json`, docs/api.md and the playground's form all come from these.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from image_cloud.errors import BadParameter
from image_cloud.picture.url import MAX_CHARACTERS, Url
from image_cloud.request.query import Query, shown

T = TypeVar("T")
Schema = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter(abc.ABC, Generic[T]):
    """One parameter.  `spellings` are other names of it; `meaning` is one line of Markdown."""

    name: str
    meaning: str
    spellings: tuple[str, ...] = ()

    @abc.abstractmethod
    def of(self, query: Query) -> T:
        """Return its value in `query`, the default where it is not given.  Raises BadParameter."""

    @abc.abstractmethod
    def schema(self) -> Schema:
        """Return the JSON schema of its values, with the default where it has one."""

    @property
    def is_required(self) -> bool:
        """Say whether a request without it is an error."""
        return False

    def is_given(self, query: Query) -> bool:
        """Say whether `query` has it, whatever its value."""
        return any(query.count(name) for name in (self.name, *self.spellings))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flag(Parameter[bool]):
    """`true`, `false`, `1` or `0`, in any case."""

    default: bool = False

    def of(self, query: Query) -> bool:
        """Return whether it is set."""
        return query.boolean(self.name, *self.spellings, default=self.default)

    def schema(self) -> Schema:
        """Return a boolean's."""
        return {"type": "boolean", "default": self.default}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionalFlag(Parameter[bool | None]):
    """A boolean that makes a difference only where it is given."""

    def of(self, query: Query) -> bool | None:
        """Return it, None where it is not given."""
        return None if query.text(self.name) is None else query.boolean(self.name)

    def schema(self) -> Schema:
        """Return a boolean's."""
        return {"type": "boolean"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Parameter[int]):
    """A whole number from `low` to `high`."""

    low: int
    high: int
    default: int

    def of(self, query: Query) -> int:
        """Return the number."""
        given = query.whole(self.name, self.low, self.high)
        return self.default if given is None else given

    def schema(self) -> Schema:
        """Return an integer's."""
        bounds = {"minimum": self.low, "maximum": self.high}
        return {"type": "integer", **bounds, "default": self.default}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side(Parameter[int]):
    """A side in pixels, 1 to `most`; 0 or empty where it is not given."""

    most: int

    def of(self, query: Query) -> int:
        """Return the side, 0 for none."""
        return query.side(self.name, self.most) or 0

    def schema(self) -> Schema:
        """Return an integer's, 0 among them."""
        return {"type": "integer", "minimum": 0, "maximum": self.most}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneOf(Parameter[int]):
    """One out of several whole numbers."""

    choices: tuple[int, ...]
    default: int

    def of(self, query: Query) -> int:
        """Return the number."""
        given = query.whole(self.name, 1, 65535) or self.default
        if given not in self.choices:
            raise BadParameter(
                f"{self.name}: {given} is not one of {', '.join(map(str, self.choices))}"
            )
        return given

    def schema(self) -> Schema:
        """Return an integer's."""
        return {"type": "integer", "enum": list(self.choices), "default": self.default}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seconds(Parameter[float]):
    """A decimal number of seconds, 0 to `most`."""

    most: float

    def of(self, query: Query) -> float:
        """Return the seconds, 0 where they are not given."""
        return query.number(self.name, 0, self.most) or 0.0

    def schema(self) -> Schema:
        """Return a number's."""
        return {"type": "number", "minimum": 0, "maximum": self.most, "default": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Age(Parameter[int | None]):
    """A whole number of seconds that makes a difference only where it is given; nginx reads it, too."""

    most: int = 2**31 - 1

    def of(self, query: Query) -> int | None:
        """Return the seconds, None where they are not given."""
        return query.whole(self.name, 0, self.most)

    def schema(self) -> Schema:
        """Return an integer's."""
        return {"type": "integer", "minimum": 0, "maximum": self.most}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Word(Parameter[str]):
    """One out of several words, in any case and by any of its `aliases`; without a default, "" for none."""

    choices: tuple[str, ...]
    default: str = ""
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def of(self, query: Query) -> str:
        """Return the word."""
        return query.choice(self.name, self.choices, self.default, self.aliases)

    def schema(self) -> Schema:
        """Return a string's."""
        words = [
            *self.choices,
            *(one for one, word in self.aliases.items() if word in self.choices),
        ]
        return {"type": "string", "enum": words, **_default(self.default)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pattern(Parameter[str]):
    """A text of the given `pattern` (a regular expression without anchors), which `form` describes.

    With `takes_empty`, an empty one counts as not given.
    """

    pattern: str
    form: str
    required: bool = False
    default: str = ""
    takes_empty: bool = True

    @property
    def is_required(self) -> bool:
        """Say whether a request without it is an error."""
        return self.required

    def of(self, query: Query) -> str:
        """Return the text, the default where it is not given."""
        given = query.text(self.name)
        if given is None and self.required:
            raise BadParameter(f"{self.name}: missing; expected is {self.form}")
        if given is None or (not given and self.takes_empty):
            return self.default
        if not re.fullmatch(self.pattern, given):
            raise BadParameter(f"{self.name}: {shown(given)} is not {self.form}")
        return given

    def schema(self) -> Schema:
        """Return a string's."""
        return {"type": "string", "pattern": f"^({self.pattern})$", **_default(self.default)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureUrl(Parameter[Url]):
    """The URL of a picture."""

    name: str = "url"
    meaning: str = (
        "absolute http or https URL of the picture, percent-encoded once; byte for byte the cache key"
        " ([below](#urls))"
    )

    @property
    def is_required(self) -> bool:
        """Say that there is no picture without it."""
        return True

    def of(self, query: Query) -> Url:
        """Return the URL.  Raises BadParameter, UrlForbidden."""
        text = query.text(self.name)
        if text is None:
            raise BadParameter(
                "url: missing; expected is the absolute http or https URL of a picture"
            )
        return Url.parse(text)

    def schema(self) -> Schema:
        """Return a string's."""
        return {"type": "string", "format": "uri", "maxLength": MAX_CHARACTERS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionalPictureUrl(Parameter[Url | None]):
    """The URL of a picture where another parameter may stand in its place."""

    name: str = "url"

    def of(self, query: Query) -> Url | None:
        """Return the URL, None where it is not given.  Raises BadParameter, UrlForbidden."""
        text = query.text(self.name)
        return None if text is None else Url.parse(text)

    def schema(self) -> Schema:
        """Return a string's."""
        return {"type": "string", "format": "uri", "maxLength": MAX_CHARACTERS}


def _default(word: str) -> Schema:
    return {"default": word} if word else {}


class Parameters:
    """The parameters of one endpoint: the attributes that are a Parameter, in their order."""

    def all(self) -> list[Parameter[Any]]:
        """Return them."""
        return [value for value in vars(self).values() if isinstance(value, Parameter)]

    def names(self) -> set[str]:
        """Return all their names, other spellings too."""
        return {name for one in self.all() for name in (one.name, *one.spellings)}
