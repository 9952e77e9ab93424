"""Errors as HTTP: one table from class to status, one body (RFC 9457, application/problem+json)."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import falcon
from falcon.media import JSONHandler

from falcon_app.exchange import request_id
from image_cloud import errors

App = falcon.App[Any, Any]
log = logging.getLogger(__name__)

STATUS: dict[type[errors.ImageCloudError], int] = {
    errors.ImageCloudError: 500,
    errors.BadParameter: 400,
    errors.BadRequestBody: 400,
    errors.TokenMissing: 401,
    errors.TokenUnknown: 401,
    errors.Forbidden: 403,
    errors.NotLocal: 404,
    errors.BatchUnknown: 404,
    errors.OriginNotFound: 404,
    errors.Blocked: 410,
    errors.RequestTooLarge: 413,
    errors.ImageTooLarge: 413,
    errors.UnusableImage: 422,
    errors.OriginFailed: 502,
    errors.Unavailable: 503,
    errors.OriginTimeout: 504,
}
# The same words as nginx's own (nginx/maps/problems.conf).
FALCON_PROBLEMS = {
    404: (
        "no_such_address",
        "There is nothing at this address",
        "see the list of endpoints in docs/api.md",
    ),
    405: (
        "method_not_allowed",
        "This method is not allowed here",
        "the header Allow lists the methods of this endpoint",
    ),
}
DEFAULT_RETRY_AFTER_S = 5.0
ALWAYS_RETRY_AFTER = (errors.Unavailable,)


def status_of(error: type[errors.ImageCloudError]) -> int:
    """Return the HTTP status of an error class: its own, or that of its nearest parent."""
    return next(STATUS[cls] for cls in error.__mro__ if cls in STATUS)


def install(app: falcon.App[Any, Any]) -> None:
    """Make `app` answer every error, expected or not, with a problem document.

    Its JSON is ASCII: what a client sent may hold lone surrogates, which no UTF-8 can carry.
    """
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=json.dumps)
    app.add_error_handler(Exception, _on_unexpected)
    app.add_error_handler(falcon.HTTPError, _on_falcon_error)
    app.add_error_handler(errors.ImageCloudError, _on_error)


def _on_error(
    req: falcon.Request, resp: falcon.Response, error: errors.ImageCloudError, _params: Any
) -> None:
    status = status_of(type(error))
    retry_after_s = error.retry_after_s
    if retry_after_s is None and isinstance(error, ALWAYS_RETRY_AFTER):
        retry_after_s = DEFAULT_RETRY_AFTER_S
    if retry_after_s is not None:
        resp.set_header("Retry-After", str(max(1, math.ceil(retry_after_s))))
    if status == 401:
        resp.set_header("WWW-Authenticate", 'Bearer realm="Image Cloud"')
    more = {} if error.upstream_status is None else {"upstream_status": error.upstream_status}
    _answer(req, resp, status, error.code, error.title(), error.detail, **more)
    log.info("event=refused id=%s status=%d code=%s", request_id(req), status, error.code)


def _on_falcon_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: Any
) -> None:
    status = error.status_code
    code, title, detail = FALCON_PROBLEMS.get(
        status, ("bad_request", error.title or "Bad request", error.description or "")
    )
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    _answer(req, resp, status, code, title, detail or title)


def _on_unexpected(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any
) -> None:
    log.exception("event=unexpected id=%s error=%s", request_id(req), type(error).__name__)
    unexpected = errors.ImageCloudError()
    _answer(req, resp, 500, unexpected.code, unexpected.title(), unexpected.detail)


def _answer(
    req: falcon.Request,
    resp: falcon.Response,
    status: int,
    code: str,
    title: str,
    detail: str,
    **more: Any,
) -> None:
    body = {
        "type": f"urn:image-cloud:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id(req),
        **more,
    }
    resp.status = status
    resp.content_type = "application/problem+json"
    resp.set_header("Cache-Control", "no-store")
    resp.data = json.dumps(body).encode()
