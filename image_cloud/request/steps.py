"""How a request for a picture goes on: send something, or hand over to another pool."""

from __future__ import annotations

import dataclasses

from image_cloud.picture.record import Record
from image_cloud.request.internal import FetchRequest, ResizeRequest

HIT, MISS, PEER, RESIZED = "HIT", "MISS", "PEER", "RESIZED"
"""Where a picture came from, as X-Cache tells."""
STORED_AT, SHA256 = "X-Stored-At", "X-Sha256"
"""The headers that tell a peer of a picture's record."""


@dataclasses.dataclass(frozen=True)
class SendFile:
    """nginx sends the file at `relative`, below the storage; peers are told of its `record`."""

    relative: str
    source: str
    record: Record | None = None


@dataclasses.dataclass(frozen=True)
class SendData:
    """The bytes themselves are sent: there is no file for nginx."""

    data: bytes
    extension: str
    source: str


@dataclasses.dataclass(frozen=True)
class SendNothing:
    """The picture is cached, and the client wants no body."""

    source: str


Step = SendFile | SendData | SendNothing | FetchRequest | ResizeRequest
