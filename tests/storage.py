"""An empty storage for tests, and pictures put into it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.storage.folders import make_folders
from image_cloud.storage.store import Store


def new_store(root: Path) -> Store:
    """Return a store in `root` with all its folders."""
    root.mkdir(exist_ok=True)
    make_folders(root)
    return Store.at(root)


def put(store: Store, url: str, stored_at: float, content: bytes = b"\xff\xd8 and so on") -> Record:
    """Place the bytes as a JPEG's and return their record."""
    parsed = Url.parse(url)
    sha256 = hashlib.sha256(content).hexdigest()
    record = Record(
        parsed.key, url, parsed.host, "jpeg", 1, 1, len(content), sha256, stored_at, "origin"
    )
    keep(store, record, content)
    return record


def keep(store: Store, record: Record, content: bytes) -> None:
    """Place the bytes of `record`, with its note."""
    with store.originals.new_file() as file:
        file.write(content)
        store.place(file, record)
