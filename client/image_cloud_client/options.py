"""How a picture is asked for: the parameters of /get_image and /get_thumbnail, and its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict
from urllib.parse import quote

Mode = Literal["fit", "stretch", "pad", "crop"]


class CommonOptions(TypedDict, total=False):
    """What both take beside `url`."""

    max_age: int
    fallback: bool


class ThumbnailOptions(CommonOptions, total=False):
    """What /get_thumbnail takes beside `url` and `size`."""

    format: Literal["auto", "jpeg", "webp"]


class Options(CommonOptions, total=False):
    """What /get_image takes beside `url`; docs/api.md says what each does."""

    resize_width: int
    resize_height: int
    resize_mode: Mode
    keep_aspect_ratio: bool
    force_to_size: bool
    enlarge: bool
    gravity: str
    focus: str
    trim: bool
    trim_tolerance: int
    background: str
    format_when_resize: str
    quality: int
    no_image: bool
    use_alternativ_clouds: bool
    only_send_if_local: bool


IMAGE = frozenset(Options.__optional_keys__)
THUMBNAIL = frozenset(ThumbnailOptions.__optional_keys__)
Pairs = list[tuple[str, str]]


def wanted(url: str, size: int | None, options: Mapping[str, object]) -> tuple[str, Pairs]:
    """Return path and parameters of a picture: a thumbnail where there is a `size`.

    Raises TypeError for an option that the endpoint does not know: a node would ignore it.
    """
    known = IMAGE if size is None else THUMBNAIL
    path = "/get_image" if size is None else "/get_thumbnail"
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(
            f"{unknown[0]} is not an option of {path}; it takes {', '.join(sorted(known))}"
        )
    first = [("url", url)] if size is None else [("size", str(size)), ("url", url)]
    return path, first + pairs(dict(options))


def pairs(values: dict[str, object]) -> Pairs:
    """Return parameters as text, those without a value left out."""
    return [(name, _text(value)) for name, value in values.items() if value is not None]


def address(base: str, path: str, parameters: Pairs) -> str:
    """Return a URL; percent-encoding is RFC 3986's.

    Of half a surrogate pair it makes what no node takes for UTF-8: a node's refusal, not an error of ours.
    """
    encoded = (f"{_quoted(name)}={_quoted(value)}" for name, value in parameters)
    return f"{base}{path}?{'&'.join(encoded)}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
