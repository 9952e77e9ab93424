"""The audit beside stores, drops and full disks, with a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import psycopg2.sql
import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.audit import ENOUGH, INCONSISTENT, UNRECORDED, Auditor, Finding
from image_cloud.node import Node
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Original, Record
from image_cloud.storage.originals import FOLDERS, Originals
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.store import Store
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


def look(node: Node, key: str, on_read: Callable[[int], None] = lambda size: None) -> list[Finding]:
    """Return what is wrong with the original of `key`."""
    (original,) = [
        one for batch in node.auditor.batches() for one in batch.originals if one.key == key
    ]
    return list(node.auditor.look_at([original], on_read))


def test_folders_with_few_originals_are_looked_at_together(node: Node) -> None:
    """Each original comes once, wherever the audit begins; a look at the database is for many."""
    keys = sorted(hashlib.sha256(bytes([n])).hexdigest() for n in range(3 * ENOUGH))
    for key in keys:
        path = node.store.originals.path(Original(key, "jpg"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    for first in (0, int(keys[ENOUGH + 3][:4], 16), int(keys[-1][:4], 16) + 1):
        batches = list(node.auditor.batches(first))
        found = [one.key for batch in batches for one in batch.originals]
        assert found == [key for key in keys if int(key[:4], 16) >= first]
        assert len(batches) <= 4
        starts = [batch.first for batch in batches]
        assert [batch.following for batch in batches] == [*starts[1:], *[FOLDERS] * bool(starts)]


def test_a_row_that_comes_while_the_file_is_read(node: Node, picture: Record) -> None:
    assert [found.kind for found in look(node, picture.key)] == [UNRECORDED]

    def commit(size: int) -> None:
        with node.database.transaction() as cursor:
            catalog.upsert(cursor, [picture])

    assert look(node, picture.key, commit) == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("sha256", "a" * 64), ("bytes", 3), ("format", "png"), ("width", 99), ("height", 99),
        ("host", "other.example"), ("url", "http://other.example/1.jpg"), ("stored_at", 2000.0),
    ],
)  # fmt: skip
def test_a_row_that_says_something_else_than_the_file(
    node: Node, field: str, wrong: object
) -> None:
    record = stored(node)
    change = psycopg2.sql.SQL("UPDATE images SET {} = {}").format(
        psycopg2.sql.Identifier(field),
        psycopg2.sql.SQL("to_timestamp(%s)" if field == "stored_at" else "%s"),
    )
    with node.database.transaction() as cursor:
        cursor.execute(change, [wrong])
    (finding,) = look(node, record.key)
    assert (finding.kind, finding.fields) == (INCONSISTENT, (field,))
    assert node.auditor.repair(finding) == "recorded"
    assert row_of(node, record.key) == record
    assert look(node, record.key) == []


def test_a_record_that_says_something_else_than_the_file(node: Node) -> None:
    """The row is right, and so is the file: nothing is set aside."""
    record = stored(node)
    node.store.records.note(dataclasses.replace(record, sha256="a" * 64))
    node.store.records.settle(dataclasses.replace(record, sha256="a" * 64))
    (finding,) = look(node, record.key)
    assert (finding.kind, finding.fields) == (INCONSISTENT, ("sha256",))
    assert node.auditor.repair(finding) == "recorded"
    assert node.store.records.find(record.key) == record


def stored(node: Node) -> Record:
    """Return the record of a picture that is stored and recorded as it should be."""
    content, url = jpeg(40, 30), "http://shop.example/whole.jpg"
    record = Record(
        key_of(url), url, "shop.example", "jpeg", 40, 30, len(content),
        hashlib.sha256(content).hexdigest(), 1000.0, "origin",
    )  # fmt: skip
    with node.store.originals.new_file() as file:
        file.write(content)
        node.store.place(file, record)
    commit_records(node.store, node.database, [record])
    return record


def row_of(node: Node, key: str) -> Record | None:
    with node.database.transaction() as cursor:
        return catalog.find(cursor, key)


def test_an_original_of_an_earlier_release_gets_its_tag(node: Node, picture: Record) -> None:
    with node.database.transaction() as cursor:
        catalog.upsert(cursor, [picture])
    original = node.store.originals.find(picture.key)
    assert original
    os.utime(node.store.originals.path(original), (1000.25, 1000.25))
    assert not node.store.originals.is_tagged(original, picture)
    assert look(node, picture.key) == []
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

    dropping = dataclasses.replace(Store.at(node.storage), originals=Dropping(node.storage))
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
