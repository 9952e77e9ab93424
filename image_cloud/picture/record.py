"""What is known of one picture: the file as the origin sent it, its record, and its delete."""

from __future__ import annotations

import dataclasses
import math
import re

from image_cloud.errors import ImageCloudError
from image_cloud.picture.headers.validators import Validators, checked
from image_cloud.picture.key import fan_out
from image_cloud.picture.url import Url
from image_cloud.picture.variant import EXTENSIONS

LAST_TIME_S = 4_102_444_800.0
"""The year 2100: no file or row is from later, whatever it says."""

MOST_BYTES, MOST_SIDE = 2**63 - 1, 2**31 - 1  # what the catalogue's columns hold

TICK_S = 0.000001
"""Event times are whole microseconds, as PostgreSQL keeps them."""


PRIVATE = ".private"
"""Behind the key in names of what caches may not share; nginx looks for it, too."""


@dataclasses.dataclass(frozen=True)
class Original:
    """One original on disk; `relative` is its path below the storage root.

    `size` is what its header says, in pixels, where that was just read.
    One that `is_private` was fetched with credentials: its name says so, and that of what is made
    from it, so that nobody who sends it has to ask.
    """

    key: str
    extension: str
    is_private: bool = False
    size: tuple[int, int] | None = dataclasses.field(default=None, compare=False)

    @property
    def stem(self) -> str:
        """Return what the file's name begins with, and what the folder of its variants is called."""
        return self.key + PRIVATE if self.is_private else self.key

    @property
    def relative(self) -> str:
        """Return the path below the root."""
        return f"originals/{fan_out(self.key)}/{self.stem}.{self.extension}"


@dataclasses.dataclass(frozen=True)
class Record:
    """What the catalogue keeps of an original; `stored_at` is seconds since 1970, sizes in bytes.

    The last three are the origin's validators (picture/headers/validators.py), as far as it told any.
    """

    key: str
    url: str
    host: str
    format: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    stored_at: float
    stored_from: str
    etag: str | None = None
    last_modified: str | None = None
    final_key: str | None = None

    @property
    def validators(self) -> Validators:
        """Return what the origin recognises these bytes by."""
        return checked(Validators(self.etag, self.last_modified, self.final_key))

    def original(self, *, is_private: bool) -> Original:
        """Return the file that this is about."""
        return Original(self.key, EXTENSIONS[self.format], is_private)

    @property
    def version(self) -> tuple[float, str]:
        """Return the version: of two stores of one URL the larger one wins, on every node."""
        return self.stored_at, self.sha256

    def is_of(self, size: int, sha256: str) -> bool:
        """Say whether this is about a file of that many bytes and that hash."""
        return (self.bytes, self.sha256) == (size, sha256)

    def check(self) -> None:
        """Raise ValueError for impossible values: others may have written them."""
        _check_url(self.key, self.url)
        _require(self.format in EXTENSIONS, "an unknown format")
        _require(re.fullmatch("[0-9a-f]{64}", self.sha256) is not None, "no SHA-256")
        _require(0 < self.bytes <= MOST_BYTES, "an impossible size in bytes")
        sides = [side for side in (self.width, self.height) if side is not None]
        _require(all(0 < side <= MOST_SIDE for side in sides), "an impossible size in pixels")
        check_time(self.stored_at)


@dataclasses.dataclass(frozen=True)
class Check:
    """What asking the origin again has shown of the picture with this SHA-256; times in seconds since 1970.

    `checked_at` is None where the check failed.  From `asked_at` on its age counts for the next one that
    nobody asks for.  `gone` is how often in a row the origin said that there is none.
    """

    key: str
    sha256: str
    checked_at: float | None
    asked_at: float
    gone: int = 0
    etag: str | None = None
    last_modified: str | None = None
    final_key: str | None = None


@dataclasses.dataclass(frozen=True)
class Tombstone:
    """One delete; `deleted_at` is seconds since 1970; `blocked` forbids the URL from then on."""

    key: str
    url: str
    deleted_at: float
    blocked: bool = False

    @property
    def host(self) -> str:
        """Return the URL's host."""
        return Url.parse(self.url).host

    def forbids(self, stored_at: float) -> bool:
        """Return whether this delete or block forbids a picture stored at that time."""
        return self.blocked or stored_at <= self.deleted_at

    def check(self) -> None:
        """Raise ValueError for impossible values: others may have written them."""
        _check_url(self.key, self.url)
        check_time(self.deleted_at)


def check_time(seconds: float, latest: float = LAST_TIME_S) -> None:
    """Raise ValueError unless this is a time since 1970, `latest` at most."""
    _require(math.isfinite(seconds) and 0 <= seconds <= latest, "an impossible time")


def _check_url(key: str, url: str) -> None:
    try:
        _require(Url.parse(url).key == key, "a key of another URL")
    except ImageCloudError as error:
        raise ValueError(error.detail) from None


def _require(holds: bool, wrong: str) -> None:
    if not holds:
        raise ValueError(wrong)
