"""What the headers of an answer without a picture say: where to go on, or when to come back."""

from __future__ import annotations

import re
import time

from image_cloud.errors import BadParameter, OriginProtocol
from image_cloud.origin.http1.head import Head
from image_cloud.picture.address.location import resolve
from image_cloud.picture.headers import http_date
from image_cloud.picture.url import Url

STATUSES = frozenset({301, 302, 303, 307, 308})
LONGEST_WAIT_S = 86400.0
_BEYOND_ASCII = re.compile(r"[\x80-\xff]")


def follow(url: Url, head: Head) -> Url:
    """Return where `head`, that of a redirect from `url`, leads to.

    Raises OriginProtocol for no Location, several, or one that is no URL; UrlForbidden for another
    scheme than http and https.
    """
    locations = {location for location in head.fields.get("location", []) if location}
    if len(locations) != 1:
        reason = "to several places" if locations else "to nowhere"
        raise OriginProtocol(f"the origin redirects {reason}", upstream_status=head.status)
    try:
        return resolve(url, _escaped(locations.pop()))
    except BadParameter as error:
        raise OriginProtocol(
            "the origin redirects to something that is not a URL", upstream_status=head.status
        ) from error


def _escaped(header: str) -> str:
    """Escape the bytes beyond ASCII one by one, whatever their encoding, as browsers do."""
    return _BEYOND_ASCII.sub(lambda match: f"%{ord(match[0]):02X}", header)


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header (seconds or a date) asks for, at most a day."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), LONGEST_WAIT_S)
    at = http_date.seconds_of(text)
    return None if at is None else min(max(at - time.time(), 0.0), LONGEST_WAIT_S)
