"""What an origin recognises its bytes by: ETag and Last-Modified, bounded and harmless to send back."""

from __future__ import annotations

import dataclasses
import re

from image_cloud.picture.headers import http_date
from image_cloud.picture.key import KEY_PATTERN

LONGEST_TAG, LONGEST_DATE = 500, 64
STRONG_AFTER_S = 1.0
"""What was modified so shortly before it was sent may have changed since, within the same second."""

# As RFC 9110 has them, weak ones too, or without quotes, as many servers send them.  Never `*` or a list.
_TAG = re.compile(r'(?:W/)?"[ !#-~]+"|[A-Za-z0-9._:/+=~-]+')
_DATE = re.compile(r"[A-Za-z0-9,:+ -]+")


@dataclasses.dataclass(frozen=True)
class Validators:
    """The values of ETag and Last-Modified, None where there was none that is fit to be sent back.

    `final_key` is the cache key of the URL that sent them, the last of the redirects: they mean nothing at
    another one.
    """

    etag: str | None = None
    last_modified: str | None = None
    final_key: str | None = None

    def __bool__(self) -> bool:
        return bool(self.final_key and (self.etag or self.last_modified))

    def headers(self, key: str) -> dict[str, str]:
        """Return what makes a request for the URL of `key` conditional; nothing for another URL."""
        if key != self.final_key:
            return {}
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value}


NONE = Validators()


def read(
    etags: list[str], last_modified: str | None, date: str | None, final_key: str
) -> Validators:
    """Return what the headers of one answer say; what is malformed, too long or ambiguous is left out."""
    etag = etags[0] if len(etags) == 1 else None
    found = checked(Validators(etag, last_modified, final_key))
    if not found.etag and found.last_modified and _may_change(found.last_modified, date):
        return NONE
    return found if found else NONE


def checked(given: Validators) -> Validators:
    """Return only those of the values that may be sent in a request: others may have written them."""
    etag = _fit(given.etag, _TAG, LONGEST_TAG)
    date = _fit(given.last_modified, _DATE, LONGEST_DATE)
    if date and http_date.seconds_of(date) is None:
        date = None
    is_key = bool(given.final_key and KEY_PATTERN.fullmatch(given.final_key))
    return Validators(etag, date, given.final_key) if is_key and (etag or date) else NONE


def _fit(text: str | None, pattern: re.Pattern[str], longest: int) -> str | None:
    return text if text and len(text) <= longest and pattern.fullmatch(text) else None


def _may_change(last_modified: str, date: str | None) -> bool:
    """Say whether the bytes may have changed since, under the same Last-Modified."""
    modified, sent = http_date.seconds_of(last_modified), http_date.seconds_of(date)
    return modified is not None and sent is not None and sent - modified < STRONG_AFTER_S
