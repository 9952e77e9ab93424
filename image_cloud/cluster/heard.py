"""What a peer's feed says, checked like a stranger's: impossible values are refused, row by row."""

from __future__ import annotations

import dataclasses
from typing import Any

from image_cloud.db.feed import Change, Position
from image_cloud.picture.headers.validators import Validators, checked
from image_cloud.picture.record import Check, Record, Tombstone, check_time
from image_cloud.picture.url import Url
from image_cloud.process.typed import fit

MOST_AHEAD_S = 7 * 86400.0
"""So far a peer's clock, and every time that it tells of, may be ahead of this node's."""


@dataclasses.dataclass(frozen=True)
class HeldBack:
    """For how long a transaction has held the peer's feed back, and which."""

    seconds: float
    holder: str = ""


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a page says beside its changes; `read` is how far the peer has read each feed."""

    now: float
    cursor: str
    more: bool
    backlog: int
    accepts_deletes: bool
    held: HeldBack
    read: dict[str, str]


def read_page(page: dict[str, Any]) -> tuple[Heard, list[Any]]:
    """Return what a page says, and its rows as they are.  Raises ValueError."""
    heard = fit(Heard, page)
    for cursor in (heard.cursor, *heard.read.values()):
        Position.parse(cursor)
    if not 0 <= heard.backlog < 2**63:
        raise ValueError("an impossible backlog")
    return heard, rows_of(page)


def rows_of(page: dict[str, Any]) -> list[Any]:
    """Return the rows of an answer as they are.  Raises ValueError."""
    rows = page.get("changes")
    if not isinstance(rows, list):
        raise ValueError("no changes")
    return rows


def read_change(row: Any, now: float) -> Change:
    """Return one row; `now` is this node's time.  Raises ValueError with what is wrong."""
    # Newer versions tell more, older ones less: in a rolling deploy both are there.
    change = fit(Change, row)
    latest = now + MOST_AHEAD_S
    if change.deleted_at is None:
        record = record_of(change, "")
        record.check()
        check_time(record.stored_at, latest)
        check_time(change.checked_at or 0.0, latest)
    else:
        tombstone_of(change).check()
        check_time(change.deleted_at, latest)
    if Url.parse(change.url).host != change.host:
        raise ValueError("a host of another URL")
    return change


def record_of(change: Change, peer: str) -> Record:
    """Return the record of a picture that `peer` tells of.  Raises ValueError."""
    kind, size, sha256, stored_at = change.format, change.bytes, change.sha256, change.stored_at
    if kind is None or size is None or sha256 is None or stored_at is None:
        raise ValueError("a picture without format, size, SHA-256 or time")
    told = checked(Validators(change.etag, change.last_modified, change.final_key))
    return Record(
        change.key, change.url, change.host, kind, change.width, change.height, size, sha256,
        stored_at, peer, told.etag, told.last_modified, told.final_key,
    )  # fmt: skip


def check_of(change: Change) -> Check | None:
    """Return the last check of a picture that a row tells of, None where there was none since its store."""
    if change.deleted_at is not None or change.checked_at is None:
        return None
    told = record_of(change, "")
    at = change.checked_at
    return Check(told.key, told.sha256, at, at, **vars(told.validators))


def tombstone_of(change: Change) -> Tombstone:
    """Return the delete that a row tells of."""
    assert change.deleted_at is not None
    return Tombstone(change.key, change.url, change.deleted_at, change.blocked)
