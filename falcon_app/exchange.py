"""What every pool reads of a request, and how it hands one on to the next pool through nginx."""

from __future__ import annotations

import re
from urllib.parse import quote

import falcon

from image_cloud.picture import formats
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.query import Query
from image_cloud.storage.variants import variant_path

MIMES = {fmt.extension: fmt.mime for fmt in formats.FORMATS.values()}
REQUEST_ID = re.compile(r"[0-9a-f]{32}")
QUERY = "image_cloud.query"  # in the WSGI environment
RESIZED = "RESIZED"  # X-Cache of a variant that was just made
SAFE_IN_VALUE = "/:?@!$'()*,;~"  # everything that means itself inside one query value


def request_id(req: falcon.Request) -> str:
    """Return the id that nginx gave this request, a dash where it came without."""
    given = req.get_header("X-Request-Id") or ""
    return given if REQUEST_ID.fullmatch(given) else "-"


def query_of(req: falcon.Request) -> Query:
    """Return the query, read by our own strict rules; once a request."""
    query: Query | None = req.env.get(QUERY)
    if query is None:
        query = req.env[QUERY] = Query(req.env.get("QUERY_STRING", ""))
    return query


def send_original(resp: falcon.Response, original: Original, x_cache: str) -> None:
    """Let nginx send an original."""
    _send_file(resp, original.relative, original.extension, x_cache)


def send_variant(resp: falcon.Response, key: str, recipe: Recipe, x_cache: str) -> None:
    """Let nginx send a variant."""
    _send_file(resp, variant_path(key, recipe.name), recipe.extension, x_cache)


def send_data(resp: falcon.Response, data: bytes, extension: str, x_cache: str) -> None:
    """Send a picture that is no file that nginx could send."""
    resp.data = data
    resp.content_type = MIMES[extension]
    resp.set_header("X-Cache", x_cache)


def send_nothing(resp: falcon.Response, x_cache: str) -> None:
    """Answer 204: it is cached."""
    resp.status = falcon.HTTP_204
    resp.set_header("X-Cache", x_cache)


def hand_on(resp: falcon.Response, address: str, arguments: dict[str, str]) -> None:
    """Let nginx ask the next pool at `address` with `arguments`."""
    query = "&".join(f"{name}={quote(value, SAFE_IN_VALUE)}" for name, value in arguments.items())
    resp.set_header("X-Accel-Redirect", f"{address}?{query}")
    # nginx keeps this answer's Content-Type, charset and all, until the next one brings its own.
    resp.content_type = "application/octet-stream"


def _send_file(resp: falcon.Response, relative: str, extension: str, x_cache: str) -> None:
    resp.set_header("X-Accel-Redirect", f"/_files/{relative}")
    resp.set_header("X-Cache", x_cache)
    resp.content_type = MIMES[extension]
