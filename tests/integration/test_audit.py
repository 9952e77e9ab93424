"""The audit beside stores, drops and full disks, with a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.audit import UNRECORDED, Auditor
from image_cloud.node import Node
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Original, Record
from image_cloud.storage.originals import Originals
from tests.frontdoor.client import jpeg
from tests.node import new_node
from tests.origin import Origin

CONTENT = b"\xff\xd8 and so on"


@pytest.fixture
def picture(node: Node) -> Record:
    """One that is on disk and settled there, but in no row yet."""
    url = "http://shop.example/1.jpg"
    record = Record(
        key_of(url), url, "shop.example", "jpeg", 1, 1, len(CONTENT),
        hashlib.sha256(CONTENT).hexdigest(), 1000.0, "origin",
    )  # fmt: skip
    with node.store.originals.new_file() as file:
        file.write(CONTENT)
        node.store.place(file, record)
    node.store.records.settle(record)
    return record


def test_a_row_that_comes_while_the_file_is_read(node: Node, picture: Record) -> None:
    auditor = node.auditor
    number = int(picture.key[:4], 16)
    assert [found.kind for found in auditor.folder(number, lambda size: None)] == [UNRECORDED]

    def commit(size: int) -> None:
        with node.database.transaction() as cursor:
            catalog.upsert(cursor, [picture])

    assert list(auditor.folder(number, commit)) == []


def test_an_original_of_an_earlier_release_gets_its_tag(node: Node, picture: Record) -> None:
    with node.database.transaction() as cursor:
        catalog.upsert(cursor, [picture])
    original = node.store.originals.find(picture.key)
    assert original
    os.utime(node.store.originals.path(original), (1000.25, 1000.25))
    assert not node.store.originals.is_tagged(original, picture)
    assert list(node.auditor.folder(int(picture.key[:4], 16), lambda size: None)) == []
    assert node.store.originals.is_tagged(original, picture)


def test_a_picture_that_is_dropped_while_its_row_is_looked_at(node: Node, picture: Record) -> None:
    store, database = node.store, node.database
    with database.transaction() as cursor:
        catalog.upsert(cursor, [picture])

    class Dropping(Originals):
        def find(self, key: str) -> Original | None:
            store.drop(picture)
            with database.transaction() as cursor:
                catalog.forget(cursor, [picture])
            return super().find(key)

    dropping = dataclasses.replace(store, originals=Dropping(store.root))
    auditor = Auditor(dropping, database, node.peers, node.cache)
    assert auditor.missing("", 10) == ("", [])


def test_what_the_disk_does_not_take_is_not_restored(
    tmp_path: Path, settings: Settings, origin: Origin
) -> None:
    node = new_node(tmp_path, "storage.min_free_bytes=10 TB", settings)
    url = origin.serve("/1.jpg", jpeg(40, 30))
    record = Record(key_of(url), url, "", "jpeg", 1, 1, 3, "a" * 64, 1000.0, "origin")
    with pytest.raises(StorageUnavailable, match="^storage: full$"):
        node.cache.restore(record)
