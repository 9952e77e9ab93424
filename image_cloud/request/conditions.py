"""Conditional requests (RFC 9110, section 13), as nginx answers them for files that it sends itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from image_cloud.picture.headers import http_date

OK, NOT_MODIFIED, FAILED = 200, 304, 412


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a request demands of a picture: tags as they came, dates in seconds since 1970."""

    match: str | None = None
    none_match: str | None = None
    modified_since: float | None = None
    unmodified_since: float | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions:
        """Read the headers, whose names are in capitals; a malformed date is none."""
        return cls(
            headers.get("IF-MATCH"),
            headers.get("IF-NONE-MATCH"),
            http_date.seconds_of(headers.get("IF-MODIFIED-SINCE")),
            http_date.seconds_of(headers.get("IF-UNMODIFIED-SINCE")),
        )

    def status(self, tag: str, modified_s: int) -> int:
        """Return the status to answer with: OK where the picture is to be sent."""
        if self.unmodified_since is not None and modified_s > self.unmodified_since:
            return FAILED
        if self.match is not None and not _names(self.match, tag):
            return FAILED
        if self.none_match is None and self.modified_since is None:
            return OK
        is_old = self.modified_since is not None and modified_s > self.modified_since
        is_other = self.none_match is not None and not _names(self.none_match, tag, weakly=True)
        return OK if is_old or is_other else NOT_MODIFIED


def _names(tags: str, tag: str, *, weakly: bool = False) -> bool:
    """Say whether a list of tags names this one; weakly, W/ does not matter."""
    named = [one.strip() for one in tags.split(",")]
    return "*" in named or tag in [one.removeprefix("W/") if weakly else one for one in named]
