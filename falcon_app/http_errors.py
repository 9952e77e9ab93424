"""Errors as HTTP: one body for all (RFC 9457, application/problem+json)."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import falcon
from falcon.media import JSONHandler

from falcon_app.exchange import Identity, request_id
from image_cloud import errors
from image_cloud.api.problems import Problem, of_the_server, status_of

App = falcon.App[Any, Any]
log = logging.getLogger(__name__)

DEFAULT_RETRY_AFTER_S = 5.0
# For nginx's access log, which hides it from clients (nginx/maps/access_log.conf).
CODE = "X-Image-Cloud-Code"
ALWAYS_RETRY_AFTER = (errors.Unavailable,)


def new_app(*middleware: Any) -> App:
    """Return an app that answers every error, expected or not, with a problem document.

    What is logged for a request carries its id.
    Its JSON is ASCII: what a client sent may hold lone surrogates, which no UTF-8 can carry.
    """
    app: App = falcon.App(middleware=[Identity(), *middleware])
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=json.dumps)
    app.add_error_handler(Exception, _on_unexpected)
    app.add_error_handler(falcon.HTTPError, _on_falcon_error)
    app.add_error_handler(errors.ImageCloudError, _on_error)
    return app


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
    log.info("event=refused status=%d code=%s", status, error.code)


def _on_falcon_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: Any
) -> None:
    status, known = error.status_code, of_the_server(error.status_code)
    bad = Problem(status, "bad_request", error.title or "Bad request", error.description or "")
    problem = known if known and status in (404, 405, 412) else bad
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    _answer(req, resp, status, problem.code, problem.title, problem.advice or problem.title)


def _on_unexpected(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any
) -> None:
    log.exception("event=unexpected error=%s", type(error).__name__)
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
    resp.set_header(CODE, code)
    resp.data = json.dumps(body).encode()
