"""Every problem document that a client can get: its status, its code, what it means and what to do."""

from __future__ import annotations

import dataclasses

from image_cloud import errors

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
    errors.TooManyAttempts: 429,
    errors.RequestTooLarge: 413,
    errors.ImageTooLarge: 413,
    errors.UnusableImage: 422,
    errors.OriginFailed: 502,
    errors.Unavailable: 503,
    errors.OriginTimeout: 504,
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One kind of problem; `advice` says what to do about it."""

    status: int
    code: str
    title: str
    advice: str


# What nginx and the framework say by themselves (nginx/maps/problems.conf has the same words).
OF_THE_SERVER = (
    Problem(
        400, "bad_request", "The request is not valid HTTP",
        "the request line, the Host header or another header is missing, repeated or malformed",
    ),
    Problem(
        404, "no_such_address", "There is nothing at this address",
        "see the list of endpoints in docs/api.md",
    ),
    Problem(
        405, "method_not_allowed", "This method is not allowed here",
        "the header Allow lists the methods of this endpoint",
    ),
    Problem(
        408, "request_timeout", "The request came too slowly",
        "send the whole request within [clients] header_timeout, body_timeout and body_total_timeout",
    ),
    Problem(
        412, "precondition_failed", "The picture does not meet the request's condition",
        "the picture was changed since the date in If-Unmodified-Since, or its ETag is not in If-Match",
    ),
    Problem(
        413, "request_too_large", "The request body is too large",
        "POST /fire_and_forget takes 32 MiB, every other request 64 KiB",
    ),
    Problem(
        414, "request_too_large", "The request line is too long", "a request line may have 8 kB"
    ),
    Problem(
        416, "range_not_satisfiable", "The picture has no such range",
        "Content-Range has the picture's length",
    ),
    Problem(
        429, "too_many_requests", "This client sends too many requests",
        "send fewer requests at once or a second; Retry-After says when the next one may pass",
    ),
    Problem(
        431, "request_too_large", "The request headers are too large",
        "a header line may have 8 kB, all of them together 32 kB",
    ),
    Problem(
        501, "not_implemented", "This node does not support what the request asks for",
        "use GET, HEAD, POST or DELETE, and no Transfer-Encoding but chunked",
    ),
    Problem(
        503, "busy", "This node is busy",
        "as much is under way as this node takes on at once; try again after Retry-After",
    ),
    Problem(
        505, "http_version_not_supported", "This HTTP version is not supported",
        "use HTTP/1.0, HTTP/1.1 or, over TLS, HTTP/2",
    ),
)  # fmt: skip


def status_of(error: type[errors.ImageCloudError]) -> int:
    """Return the HTTP status of an error class: its own, or that of its nearest parent."""
    return next(STATUS[cls] for cls in error.__mro__ if cls in STATUS)


def of_the_server(status: int) -> Problem | None:
    """Return what nginx or the framework says with `status`."""
    return next((one for one in OF_THE_SERVER if one.status == status), None)


def problem_of(error: type[errors.ImageCloudError]) -> Problem:
    """Return the problem that an error class stands for."""
    return Problem(status_of(error), error.code, error.title(), error.advice())


def every_problem() -> list[Problem]:
    """List all problems by status; those of the server that a class of ours repeats are left out."""
    ours = [problem_of(one) for one in errors.subclasses()]
    known = {(one.status, one.code) for one in ours}
    others = [one for one in OF_THE_SERVER if (one.status, one.code) not in known]
    return sorted([*ours, *others], key=lambda one: (one.status, one.code))
