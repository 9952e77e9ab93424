"""What is asked of /similar."""

from __future__ import annotations

import dataclasses

from image_cloud.errors import BadParameter
from image_cloud.picture.dhash import MOST_WITHIN
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.picture.url import Url
from image_cloud.request.parameter import OptionalPictureUrl, Parameters, Pattern, Whole
from image_cloud.request.query import Query

WITHIN, LIMIT, MOST_LIMIT = 6, 100, 1000
DHASH_FORM = "a difference hash of 16 hex digits"


class SimilarParameters(Parameters):
    """The parameters of /similar."""

    def __init__(self) -> None:
        self.url = OptionalPictureUrl(
            meaning="URL of the picture that others may resemble; it is fetched if need be"
        )
        self.dhash = Pattern(
            name="dhash",
            pattern="[0-9A-Fa-f]{16}",
            form=DHASH_FORM,
            takes_empty=False,
            meaning="in place of `url`, the difference hash of any picture, 16 hex digits",
        )
        self.within = Whole(
            name="within", low=0, high=MOST_WITHIN, default=WITHIN,
            meaning="in how many of its 64 bits a hash may differ",
        )  # fmt: skip
        self.limit = Whole(
            name="limit", low=1, high=MOST_LIMIT, default=LIMIT,
            meaning="at most so many pictures, the most similar ones",
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class SimilarRequest:
    """A picture by its URL or its hash; the picture of `but_key` itself is not wanted."""

    url: Url | None
    dhash: str
    within: int = WITHIN
    limit: int = LIMIT
    but_key: str = ""

    @classmethod
    def read(cls, query: Query) -> SimilarRequest:
        """Read what SimilarParameters describe.  Raises BadParameter, UrlForbidden."""
        known = SimilarParameters()
        url, dhash = known.url.of(query), known.dhash.of(query).lower()
        if (url is None) == (not dhash):
            raise BadParameter("url: expected is either url or dhash")
        return cls(url, dhash, known.within.of(query), known.limit.of(query))

    @classmethod
    def read_internal(cls, query: Query) -> SimilarRequest:
        """Read what `arguments` writes.  Raises BadParameter, UrlForbidden."""
        asked, but_key = cls.read(query), query.text("but_key") or ""
        is_key = KEY_PATTERN.fullmatch(but_key) is not None
        return dataclasses.replace(asked, but_key=but_key if is_key else "")

    def of_hash(self, dhash: str) -> SimilarRequest:
        """Return the same for the hash of the picture at `url`, which itself is not wanted."""
        assert self.url
        return dataclasses.replace(self, url=None, dhash=dhash, but_key=self.url.key)

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read_internal` makes the same request of."""
        what = {"url": self.url.text} if self.url else {"dhash": self.dhash}
        but = {"but_key": self.but_key} if self.but_key else {}
        return {**what, "within": str(self.within), "limit": str(self.limit), **but}
