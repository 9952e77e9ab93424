"""The playground: a form made from the parameter table, and its request in several languages."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from image_cloud.config.sections import Resize
from image_cloud.errors import ImageCloudError
from image_cloud.request.parameter import Parameter
from image_cloud.request.params import (
    ImageParameters,
    ImageRequest,
    InfoParameters,
    ThumbnailParameters,
)
from image_cloud.request.query import Query
from image_cloud.request.signing import sign
from image_cloud.request.tokens import Client

SIGNED_S = 24 * 3600
INFO = "/image_info"
SIDES = ("resize_width", "resize_height")
LINK = re.compile(r" \(\[[^\]]*\]\([^)]*\)\)")  # to another place of the docs
CODE = re.compile(r"`([^`]*)`")


@dataclasses.dataclass(frozen=True)
class Field:
    """One parameter as a part of a form: its JSON schema, and what stands in it."""

    name: str
    meaning: str
    value: str
    schema: dict[str, Any]
    is_required: bool

    @property
    def kind(self) -> str:
        """Return what it is entered with: `url`, `choice`, `number` or `text`."""
        if self.schema.get("format") == "uri":
            return "url"
        if self.choices:
            return "choice"
        return "number" if self.schema["type"] in ("integer", "number") else "text"

    @property
    def choices(self) -> list[str]:
        """Return the values to choose from, none where there are too many."""
        if self.schema["type"] == "boolean":
            return ["true", "false"]
        return [str(one) for one in self.schema.get("enum", ())]

    @property
    def default(self) -> str:
        """Return what not giving it means."""
        default = self.schema.get("default")
        return "" if default is None else str(default).lower()


@dataclasses.dataclass(frozen=True)
class Snippet:
    """The request as it is written in one language."""

    title: str
    code: str


@dataclasses.dataclass(frozen=True)
class Tried:
    """What was asked for: signed addresses of the result and the original, or why there are none.

    `is_picture` says that the result is one; else it is JSON.
    """

    fields: list[Field]
    is_picture: bool = True
    result: str = ""
    original: str = ""
    problem: str = ""
    snippets: list[Snippet] = dataclasses.field(default_factory=list)


class Playground:
    """Reads forms by the parameter tables of this node; `formats` are those that it writes."""

    def __init__(
        self, settings: Resize, formats: tuple[str, ...], clock: Callable[[], float] = time.time
    ) -> None:
        image, thumbnail = ImageParameters(settings, formats), ThumbnailParameters(settings)
        info = InfoParameters()
        self._settings = settings
        self._clock = clock
        self._tables: dict[str, tuple[list[Parameter[Any]], Callable[[Query], ImageRequest]]] = {
            "/get_image": (image.all(), image.read),
            "/get_thumbnail": (thumbnail.all(), thumbnail.read),
            INFO: (info.all(), info.read),
        }
        self.paths = tuple(self._tables)

    def tried(self, path: str, query: Query, client: Client, base: str) -> Tried:
        """Return the form for `path` as filled in, and what it asks for; `base` is this node's address."""
        table, read = self._tables[path]
        fields = [_field(one, query) for one in table]
        given = [(one.name, one.value) for one in fields if one.value]
        if not query.text("url"):
            return Tried(fields)
        if "read" not in client.scopes:
            return Tried(fields, problem="Your token lacks the scope read, so it opens no picture.")
        try:
            read(Query(urlencode(given)))
        except ImageCloudError as error:
            return Tried(fields, problem=f"{error.title()}: {error.detail}")
        expires = int(self._clock()) + SIGNED_S
        original = [pair for pair in given if pair[0] == "url"]
        return Tried(
            fields,
            is_picture=path != INFO,
            result=sign(f"{path}?{urlencode(given)}", client, expires),
            original=sign(f"/get_image?{urlencode(original)}", client, expires),
            snippets=self._snippets(
                path, given, lambda one: base + sign(one, client, expires), base
            ),
        )

    def _snippets(
        self, path: str, given: list[tuple[str, str]], signed: Callable[[str], str], base: str
    ) -> list[Snippet]:
        target = f"{path}?{urlencode(given)}"
        address = base + target
        found = [
            Snippet("Signed URL, for a day", signed(target)),
            Snippet("curl", _curl(address, "" if path == INFO else " -o picture")),
            Snippet("Python", PYTHON.format(address=repr(address))),
            Snippet("PHP", PHP.format(address=_php(address))),
            Snippet("JavaScript", JAVASCRIPT.format(address=_javascript(address))),
        ]
        if path == INFO:
            return [dataclasses.replace(one, code=_of_json(one.code)) for one in found]
        return [*found, Snippet("<img srcset>", self._img(path, given, signed))]

    def _img(self, path: str, given: list[tuple[str, str]], signed: Callable[[str], str]) -> str:
        plain = _attribute(signed(f"{path}?{urlencode(given)}"))
        sources = [
            f"{_attribute(signed(f'{path}?{urlencode(one)}'))} {which}"
            for which, one in self._sources(path, given)
        ]
        srcset = f'\n     srcset="{("," + chr(10) + " " * 13).join(sources)}"' if sources else ""
        return f'<img src="{plain}"{srcset} alt="">'

    def _sources(
        self, path: str, given: list[tuple[str, str]]
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the request for each kind of screen: thumbnails by width, others once and twice as large."""
        if path == "/get_thumbnail":
            others = [pair for pair in given if pair[0] != "size"]
            sizes = self._settings.thumbnail_sizes
            return [(f"{size}w", [*others, ("size", str(size))]) for size in sizes]
        sides = [int(value) for name, value in given if name in SIDES]
        if not any(sides) or 2 * max(sides) > self._settings.max_side:
            return []
        return [(f"{times}x", [_times(pair, times) for pair in given]) for times in (1, 2)]


PYTHON = """\
import os, requests

answer = requests.get(
    {address},
    headers={{"X-Image-Cloud-Token": os.environ["IMAGE_CLOUD_TOKEN"]}},
    timeout=60,
)
answer.raise_for_status()
picture = answer.content"""
PHP = """\
<?php
$context = stream_context_create(['http' => [
    'header' => 'X-Image-Cloud-Token: ' . getenv('IMAGE_CLOUD_TOKEN'),
    'timeout' => 60,
]]);
$picture = file_get_contents({address}, false, $context);"""
JAVASCRIPT = """\
// On a server: a token in a page is everybody's. Pages get signed URLs.
const answer = await fetch({address}, {{
    headers: {{ "X-Image-Cloud-Token": process.env.IMAGE_CLOUD_TOKEN }},
}});
if (!answer.ok) throw new Error((await answer.json()).detail);
const picture = await answer.arrayBuffer();"""


JSON_INSTEAD = {
    "picture = answer.content": "info = answer.json()",
    "$picture = file_get_contents(": "$info = json_decode(file_get_contents(",
    ", false, $context);": ", false, $context), true);",
    "const picture = await answer.arrayBuffer();": "const info = await answer.json();",
}


def _field(parameter: Parameter[Any], query: Query) -> Field:
    meaning = CODE.sub(r"\1", LINK.sub("", parameter.meaning))
    value = query.text(parameter.name) or ""
    return Field(parameter.name, meaning, value, parameter.schema(), parameter.is_required)


def _times(pair: tuple[str, str], times: int) -> tuple[str, str]:
    name, value = pair
    return (name, str(int(value) * times)) if name in SIDES else pair


def _of_json(code: str) -> str:
    """Return a snippet that takes a picture as one that takes JSON."""
    for picture, told in JSON_INSTEAD.items():
        code = code.replace(picture, told)
    return code


def _curl(address: str, more: str) -> str:
    token = "X-Image-Cloud-Token: $IMAGE_CLOUD_TOKEN"  # noqa: S105
    return f'curl -f{more} -H "{token}" \\\n  {shlex.quote(address)}'


def _php(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _javascript(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
