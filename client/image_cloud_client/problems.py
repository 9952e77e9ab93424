"""Reads an answer that is not a success: which exception it stands for."""

from __future__ import annotations

import math
from typing import Any

import requests

from image_cloud_client.errors import ImageCloudError, UnexpectedAnswer, by_code

LONGEST_DETAIL = 1000


def exception_of(answer: requests.Response) -> ImageCloudError:
    """Return the exception of a problem document; of any other answer, UnexpectedAnswer."""
    problem = _document(answer)
    code = problem.get("code")
    if not isinstance(code, str):
        return _unexpected(answer, "a problem document")
    upstream = problem.get("upstream_status")
    error = (by_code(code) or ImageCloudError)(
        str(problem.get("detail", ""))[:LONGEST_DETAIL],
        status=answer.status_code,
        upstream_status=upstream if isinstance(upstream, int) else None,
        retry_after_s=_retry_after_s(answer),
        request_id=str(problem.get("request_id", ""))[:64],
    )
    error.code = code[:64]
    return error


def picture_of(answer: requests.Response) -> bytes:
    """Return the picture that a success brought.  Raises UnexpectedAnswer where it is none."""
    content: bytes = answer.content
    if content and not answer.headers.get("Content-Type", "").startswith("image/"):
        raise _unexpected(answer, "a picture")
    return content


def document_of(answer: requests.Response, *members: str) -> dict[str, Any]:
    """Return the JSON object that a success brought.  Raises UnexpectedAnswer, also without `members`."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or not document.keys() >= set(members):
        raise _unexpected(answer, "the wanted JSON")
    return document


def _unexpected(answer: requests.Response, what: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        f"status {answer.status_code} without {what}",
        status=answer.status_code,
        retry_after_s=_retry_after_s(answer),
    )


def _document(answer: requests.Response) -> dict[str, Any]:
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return {}
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after_s(answer: requests.Response) -> float | None:
    """Return the seconds of Retry-After; nodes send no dates."""
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
