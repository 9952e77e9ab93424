"""Pictures that nodes tell each other of."""

from __future__ import annotations

import hashlib

from image_cloud.db.feed import Change
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store
from tests import storage

CONTENT = b"\xff\xd8\xff the picture"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def picture(number: int, stored_at: float = 1000.0, content: bytes = CONTENT) -> Record:
    """Return what is known of the picture `number` with these bytes."""
    url = Url.parse(f"http://shop.example/{number}.jpg")
    return Record(
        url.key, url.text, url.host, "jpeg", 1, 1, len(content), sha256(content),
        stored_at + number, "origin",
    )  # fmt: skip


def change(record: Record) -> Change:
    """Return how a feed tells of it."""
    fields = dict(vars(record))
    del fields["stored_from"]
    return Change(**fields, deleted_at=None, blocked=False)


def keep(store: Store, record: Record, content: bytes = CONTENT) -> None:
    """Put the picture into `store`, with a note of it."""
    storage.keep(store, record, content)
