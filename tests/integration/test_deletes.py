"""What catalogue and feed know of a delete, with a real PostgreSQL; disk: tests/unit/test_deletes.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from image_cloud.cluster.deletes import Deleted, Deletes
from image_cloud.db import feed
from image_cloud.db.feed import Change
from image_cloud.errors import StorageUnavailable
from image_cloud.node import Node
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.store import Store
from image_cloud.storage.tombstones import Tombstones
from tests.node import AWAY
from tests.storage import put

URL = Url.parse("http://shop.example/a.jpg")


def stored(node: Node, stored_at: float) -> Record:
    record = put(node.store, URL.text, stored_at)
    commit_records(node.store, node.database, [record])
    return record


def in_feed(node: Node) -> Change:
    with node.database.transaction() as cursor:
        (change,) = feed.of_key(cursor, URL.key)
    return change


def test_a_delete_holds_on_disk_and_in_the_feed(node: Node) -> None:
    stored(node, 1000.0)
    node.store.variants.keep(URL.key, {"1x1-fit-q85.jpg": b"x"})
    assert node.deletes.delete(URL) == Deleted(deleted=True, blocked=False, recorded=True)
    assert node.store.originals.find(URL.key) is None
    assert node.store.variants.names(URL.key) == set()
    tombstone = node.store.tombstones.find(URL.key)
    assert tombstone
    assert in_feed(node).deleted_at == tombstone.deleted_at > 1000.0
    assert list(node.store.tombstones.unrecorded()) == []


def test_a_delete_is_later_than_what_it_deletes_whatever_the_clocks_say(node: Node) -> None:
    ahead = node.clock.now() + 3600
    stored(node, ahead)
    assert node.deletes.delete(URL).deleted
    first = in_feed(node).deleted_at
    assert first
    assert first > ahead
    node.deletes.delete(URL)
    assert (in_feed(node).deleted_at or 0) > first


def test_what_was_never_here_is_deleted_everywhere_all_the_same(node: Node) -> None:
    assert node.deletes.delete(URL) == Deleted(deleted=False, blocked=False, recorded=True)
    assert in_feed(node).url == URL.text


def test_the_feed_tells_of_a_block_until_it_is_lifted(node: Node) -> None:
    for block, blocked in ((True, True), (None, True), (False, False)):
        node.deletes.delete(URL, block)
        assert in_feed(node).blocked is blocked


def test_with_the_database_away_the_delete_holds_and_is_told_later(
    node: Node, tmp_path: Path
) -> None:
    stored(node, 1000.0)
    cut_off = Node(dataclasses.replace(node.config, database=AWAY))
    assert cut_off.deletes.delete(URL) == Deleted(deleted=True, blocked=False, recorded=False)
    assert node.store.originals.find(URL.key) is None
    assert in_feed(node).deleted_at is None
    (waiting,) = node.store.tombstones.unrecorded()
    assert node.deletes.commit([waiting])
    assert in_feed(node).deleted_at == waiting.deleted_at
    assert list(node.store.tombstones.unrecorded()) == []


def test_a_disk_that_takes_no_tombstone_is_an_error_to_the_client(node: Node) -> None:
    class Full(Tombstones):
        def write(self, tombstone: Tombstone) -> None:
            raise OSError(28, "No space left on device")

    stored(node, 1000.0)
    full = dataclasses.replace(Store.at(node.storage), tombstones=Full(node.storage))
    with pytest.raises(StorageUnavailable, match="storage: full"):
        Deletes(full, node.failures, node.database, node.clock).delete(URL)
    assert in_feed(node).deleted_at is None, "nobody is told of a delete that does not hold here"
