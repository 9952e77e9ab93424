"""How every pool reads a request, and hands it on to the next pool through nginx."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

import falcon

from image_cloud.picture import formats
from image_cloud.picture.headers.entity_tag import entity_tag
from image_cloud.picture.record import Record
from image_cloud.process.log_formats import NO_ID, current_id
from image_cloud.request.internal import FallbackRequest, FetchRequest
from image_cloud.request.query import Query
from image_cloud.request.steps import (
    PRIVATE,
    SHA256,
    STORED_AT,
    SendData,
    SendFallback,
    SendFile,
    SendNothing,
    Step,
)

MIMES = {fmt.extension: fmt.mime for fmt in formats.FORMATS.values()}
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
COPY = "copy"  # the argument for StoredOriginal
QUERY = "image_cloud.query"  # in the WSGI environment
FALLBACK_CACHE_CONTROL = "max-age=60"
SAFE_IN_VALUE = "/:?@!$'()*,;~"  # everything that means itself inside one query value


class Identity:
    """Falcon middleware: what the request's thread logs carries the request's id."""

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Take the id over."""
        current_id.set(request_id(req))


def request_id(req: falcon.Request) -> str:
    """Return the id that nginx gave this request, a dash where it came without."""
    given = req.get_header("X-Request-Id") or ""
    return given if REQUEST_ID.fullmatch(given) else NO_ID


def query_of(req: falcon.Request) -> Query:
    """Return the query, read by our own strict rules; once a request."""
    query: Query | None = req.env.get(QUERY)
    if query is None:
        query = req.env[QUERY] = Query(req.env.get("QUERY_STRING", ""), req.get_header("Accept"))
    return query


def respond(resp: falcon.Response, step: Step) -> None:
    """Do what a request for a picture has come to."""
    match step:
        case SendFile():
            copy = f"?{COPY}={step.copy}" if step.copy else ""
            resp.set_header("X-Accel-Redirect", f"/_files/{step.relative}{copy}")
            _describe(resp, step.relative.rpartition(".")[2], step.source)
            if step.record:
                _tell_peer(resp, step.record)
            if step.is_private:
                resp.set_header(PRIVATE, "1")
        case SendData():
            resp.data = step.data
            sha256 = hashlib.sha256(step.data).hexdigest()
            resp.set_header("ETag", entity_tag(sha256, len(step.data)))
            _describe(resp, step.extension, step.source)
            if step.is_private:
                resp.set_header("Cache-Control", "private")
        case SendNothing():
            resp.status = falcon.HTTP_204
            resp.set_header("X-Cache", step.source)
            resp.set_header("Cache-Control", "no-store")
        case SendFallback():
            resp.status, resp.data = step.status, step.data
            _describe(resp, step.extension, step.source)
            resp.set_header("Cache-Control", FALLBACK_CACHE_CONTROL)
        case FetchRequest() | FallbackRequest():
            hand_on(resp, step.address, step.arguments())


def tell(resp: falcon.Response, told: dict[str, Any], source: str) -> None:
    """Answer in JSON what is known of a picture."""
    resp.media = told
    resp.set_header("X-Cache", source)
    resp.set_header("Cache-Control", "no-store")


def hand_on(resp: falcon.Response, address: str, arguments: dict[str, str]) -> None:
    """Let nginx ask the next pool at `address` with `arguments`."""
    query = "&".join(f"{name}={quote(value, SAFE_IN_VALUE)}" for name, value in arguments.items())
    resp.set_header("X-Accel-Redirect", f"{address}?{query}")
    # nginx keeps this answer's Content-Type, charset and all, until the next one brings its own.
    resp.content_type = "application/octet-stream"


def _describe(resp: falcon.Response, extension: str, source: str) -> None:
    resp.content_type = MIMES[extension]
    resp.set_header("X-Cache", source)


def _tell_peer(resp: falcon.Response, record: Record) -> None:
    resp.set_header(STORED_AT, f"{record.stored_at:.6f}")
    resp.set_header(SHA256, record.sha256)
