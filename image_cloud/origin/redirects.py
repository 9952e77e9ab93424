"""What the headers of an answer without a picture say: where to go on, or when to come back."""

from __future__ import annotations

import email.utils
import re
import time

from image_cloud.errors import BadParameter, OriginProtocol
from image_cloud.picture.location import resolve
from image_cloud.picture.url import Url

STATUSES = frozenset({301, 302, 303, 307, 308})
LONGEST_WAIT_S = 86400.0


def follow(url: Url, location: str | None, status: int) -> Url:
    """Return where `location`, a header as `http.client` decodes it, leads to from `url`.

    Raises OriginProtocol where there is none or it is no URL, UrlForbidden for another scheme.
    """
    if not location:
        raise OriginProtocol("the origin redirects to nowhere", upstream_status=status)
    try:
        return resolve(url, _utf8(location))
    except BadParameter as error:
        raise OriginProtocol(
            "the origin redirects to something that is not a URL", upstream_status=status
        ) from error


def _utf8(header: str) -> str:
    """Undo the Latin-1 that headers are read in, where the origin sent UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header (seconds or a date) asks for, at most a day."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), LONGEST_WAIT_S)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(at - time.time(), 0.0), LONGEST_WAIT_S)
