"""What drops the variants of pictures that other nodes deleted or replaced, with a real PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg2
import pytest

from daemons.peer_clone.changes_elsewhere import (
    AGAIN_AFTER_S,
    READ_AGAIN_TRANSACTIONS,
    ChangesElsewhere,
)
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, feed
from image_cloud.errors import OriginTimeout
from image_cloud.node import Node
from image_cloud.picture.headers.entity_tag import modified_ns
from image_cloud.picture.record import Check, Record, Tombstone
from image_cloud.process import json_file
from image_cloud.storage.failures import FETCH
from image_cloud.storage.local.lease import Lease
from tests.clock import Clock
from tests.cloning import picture
from tests.node import new_node

NAME = "200x200-fit-q85.jpg"
DAY_S = 86400.0


class Parts:
    """A node with a storage that others change, what follows them, and the clock of both."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        apart = f"cluster.shared_storage=true;storage.variants_path={folder}/storage-near"
        self.node: Node = new_node(folder, apart, settings)
        for name in ("variants/.incoming", "failures", "checked", "cluster", "incoming"):
            (folder / "storage-near" / name).mkdir(parents=True)
        self.clock = Clock(time.time())
        self.follower = self.new_follower()

    def new_follower(self) -> ChangesElsewhere:
        node = self.node
        assert node.lease
        self.lease = Lease(node.local, self.clock)
        return ChangesElsewhere(
            node.store, node.failures, node.database, node.listener, self.lease,
            node.variants_note, 90 * DAY_S, lambda: True, self.clock,
        )  # fmt: skip

    def made(self, record: Record) -> Record:
        """Have a variant of `record` here."""
        variants = self.node.store.variants
        variants.keep_only(record.key, modified_ns(record.stored_at, record.sha256))
        variants.keep(record.key, {NAME: b"x"})
        return record

    def has(self, record: Record) -> bool:
        return bool(self.node.store.variants.names(record.key))

    def stored(self, *records: Record) -> None:
        with self.node.database.transaction() as cursor:
            catalog.upsert(cursor, records)

    def deleted(self, record: Record, deleted_at: float = 2000.0) -> None:
        with self.node.database.transaction() as cursor:
            catalog.bury(cursor, [Tombstone(record.key, record.url, deleted_at, False)], 3000.0)


@pytest.fixture
def parts(tmp_path: Path, settings: Settings) -> Parts:
    return Parts(tmp_path, settings)


def test_what_others_delete_and_replace_goes_and_all_else_stays(parts: Parts) -> None:
    parts.follower.step()
    deleted, replaced, own = (parts.made(picture(number)) for number in (1, 2, 3))
    parts.deleted(deleted)
    parts.stored(own, picture(2, stored_at=1500.0))
    parts.follower.step()
    assert [parts.has(one) for one in (deleted, replaced, own)] == [False, False, True]


def test_what_is_known_of_one_goes_with_it(parts: Parts) -> None:
    parts.follower.step()
    record, store = picture(1), parts.node.store
    store.checks.mark(record.key, 1000.0)
    parts.node.failures.remember(record.key, OriginTimeout())
    assert parts.node.failures.memory(record.key, FETCH)
    parts.deleted(record)
    parts.follower.step()
    assert store.checks.find(record.key) is None
    assert parts.node.failures.memory(record.key, FETCH) is None


def test_a_check_elsewhere_counts_here(parts: Parts) -> None:
    record = parts.made(picture(1))
    parts.stored(record)
    parts.follower.step()
    parts.made(record)
    parts.node.store.checks.mark(record.key, 1000.5)
    with parts.node.database.transaction() as cursor:
        catalog.record_checks(cursor, [Check(record.key, record.sha256, 5000.5, 5000.5)], 60.0)
    parts.follower.step()
    seen = parts.node.store.checks.find(record.key)
    assert seen
    assert (seen.by_check, round(seen.at, 1)) == (True, 5000.5)
    assert parts.has(record)


def test_nobody_waits_for_a_transaction_that_holds_the_feed(
    parts: Parts, settings: Settings
) -> None:
    parts.follower.step()
    held, record = psycopg2.connect(settings.dsn), parts.made(picture(2))
    try:
        catalog.upsert(held.cursor(), [picture(1)])
        parts.deleted(record)
        parts.follower.step()
        assert not parts.has(record)
        late = parts.made(picture(1, stored_at=500.0))
        held.commit()
        parts.follower.step()
        assert not parts.has(late)
    finally:
        held.close()


def test_variants_of_what_still_seemed_to_be_there_go_a_moment_later(parts: Parts) -> None:
    parts.follower.step()
    record = picture(1)
    parts.deleted(record)
    parts.follower.step()
    parts.made(record)
    parts.clock.now += AGAIN_AFTER_S + 0.1
    parts.follower.step()
    assert not parts.has(record)


def test_the_lease_is_renewed_only_where_all_is_known(parts: Parts) -> None:
    parts.follower.step()
    assert parts.lease.holds()
    parts.clock.now += 5
    assert not parts.lease.holds()
    parts.follower.step()
    assert parts.lease.holds()


def test_a_new_process_goes_on_where_the_last_one_stopped(parts: Parts) -> None:
    kept, gone = picture(1), picture(2)
    parts.stored(kept, gone)
    parts.follower.step()
    parts.made(kept)
    parts.made(gone)
    parts.clock.now += AGAIN_AFTER_S + 0.1
    parts.follower.step()
    parts.deleted(gone)
    parts.new_follower().step()
    assert [parts.has(one) for one in (kept, gone)] == [True, False]


@pytest.mark.parametrize("why", ["no note", "long ago", "another database"])
def test_who_does_not_know_what_changed_believes_nothing(parts: Parts, why: str) -> None:
    record = picture(1)
    parts.stored(record)
    parts.follower.step()
    parts.made(record)
    if why == "no note":
        parts.node.variants_note.unlink()
    elif why == "long ago":
        parts.clock.now += 91 * DAY_S
    else:
        with parts.node.database.transaction() as cursor:
            feed.renew(cursor)
    parts.new_follower().step()
    assert not parts.has(record)


def test_after_a_standby_took_over_the_last_changes_are_read_again(parts: Parts) -> None:
    record = picture(1)
    parts.deleted(record)
    parts.follower.step()
    parts.clock.now += AGAIN_AFTER_S + 0.1
    parts.follower.step()
    parts.made(record)
    parts.new_follower().step()
    assert parts.has(record)
    note = json_file.read(parts.node.variants_note, dict)
    assert note
    json_file.write(parts.node.variants_note, note | {"timeline": "0000000F"})
    parts.new_follower().step()
    assert not parts.has(record)
    assert READ_AGAIN_TRANSACTIONS > 0
