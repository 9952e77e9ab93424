"""How a request for a picture goes on: send something, or hand over to another pool."""

from __future__ import annotations

import dataclasses

from image_cloud.picture.record import Record
from image_cloud.request.internal import FallbackRequest, FetchRequest

HIT, MISS, PEER, RESIZED, STALE = "HIT", "MISS", "PEER", "RESIZED", "STALE"
FALLBACK = "FALLBACK"
"""Where a picture came from, as X-Cache tells."""
STORED_AT, SHA256, PRIVATE = "X-Stored-At", "X-Sha256", "X-Private"
"""The headers that tell a peer of a picture's record, and that credentials were sent for it."""
PARENT_ID = "X-Image-Cloud-Parent-Id"
"""The header that tells a peer the id of the request or batch that asks it."""


@dataclasses.dataclass(frozen=True)
class SendFile:
    """nginx sends the file at `relative`, below the storage; peers are told of its `record`.

    Whether caches may share it nginx reads from the name; `is_private` is for peers.  A `copy` of that name
    is sent rather than the file, if it is still good (storage/local/copies.py).
    """

    relative: str
    source: str
    record: Record | None = None
    is_private: bool = False
    copy: str = ""


@dataclasses.dataclass(frozen=True)
class SendData:
    """The bytes themselves are sent: there is no file for nginx.  Caches may not share private ones."""

    data: bytes
    extension: str
    source: str
    is_private: bool = False


@dataclasses.dataclass(frozen=True)
class SendNothing:
    """The picture is cached, and the client wants no body."""

    source: str


@dataclasses.dataclass(frozen=True)
class SendFallback:
    """Another picture is sent in place of the one that cannot be had, with `status`."""

    data: bytes
    extension: str
    status: int
    source: str = FALLBACK


def with_source(step: Step, source: str) -> Step:
    """Return a step that says so in X-Cache; one to another pool leaves it to that one."""
    if isinstance(step, FetchRequest | FallbackRequest):
        return step
    return dataclasses.replace(step, source=source)


Step = SendFile | SendData | SendNothing | SendFallback | FetchRequest | FallbackRequest
