"""What is known of one picture: the file as the origin sent it, its record, and its delete."""

from __future__ import annotations

import dataclasses

from image_cloud.picture.key import fan_out
from image_cloud.picture.url import Url
from image_cloud.picture.variant import EXTENSIONS

TICK_S = 0.000001
"""Event times are whole microseconds, as PostgreSQL keeps them."""


@dataclasses.dataclass(frozen=True)
class Original:
    """One original on disk; `relative` is its path below the storage root."""

    key: str
    extension: str

    @property
    def relative(self) -> str:
        """Return the path below the root."""
        return f"originals/{fan_out(self.key)}/{self.key}.{self.extension}"


@dataclasses.dataclass(frozen=True)
class Record:
    """What the catalogue keeps of an original; `stored_at` is seconds since 1970, sizes in bytes."""

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

    @property
    def original(self) -> Original:
        """Return the file that this is about."""
        return Original(self.key, EXTENSIONS[self.format])

    @property
    def version(self) -> tuple[float, str]:
        """Return what decides between two stores of one URL: the larger one stays, everywhere."""
        return self.stored_at, self.sha256


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
        """Say whether a picture stored at that time may not be here."""
        return self.blocked or stored_at <= self.deleted_at
