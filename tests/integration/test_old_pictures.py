"""Old pictures on their way into the queue, and checks on their way to the peers, with a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import time
import uuid
from pathlib import Path

import pytest

from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.cluster.placement import Placement
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, feed
from image_cloud.db.connect import Database
from image_cloud.db.feed import Position
from image_cloud.db.prefetch import intake, outcomes, queue, refreshing
from image_cloud.db.prefetch.intake import NewBatch, Wanted
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.db.prefetch.refreshing import Place
from image_cloud.errors import OriginReset
from image_cloud.node import Node
from image_cloud.picture.record import Check, Record
from image_cloud.refresh.old_pictures import ASKED_FOR, Walk
from image_cloud.storage.failures import CHECK
from tests.node import new_node
from tests.storage import put

DAY_S = 86400.0
ME = str(uuid.uuid4())


@pytest.fixture
def node(tmp_path: Path, settings: Settings) -> Node:
    return new_node(tmp_path, "refresh.after=30 d", settings)


def stored(node: Node, *days: float) -> list[Record]:
    """Store a picture for each of so many days ago, with its row."""
    now = time.time()
    records = [
        put(node.store, f"http://shop.example/{number}.jpg", round(now - one * DAY_S, 6))
        for number, one in enumerate(days)
    ]
    with node.database.transaction() as cursor:
        catalog.upsert(cursor, records)
    return records


def claimed(node: Node) -> list[Claimed]:
    with node.database.transaction() as cursor:
        domains = queue.whose_turn(cursor, (), 10)
        return queue.claim(cursor, dict.fromkeys(domains, 100), ME, 60.0)


def test_old_ones_are_queued_once_the_oldest_first(node: Node) -> None:
    records = stored(node, 1, 31, 100, 29, 40)
    for _ in range(2):
        assert node.walk.step() is False
    waiting = claimed(node)
    assert {one.key for one in waiting} == {records[number].key for number in (1, 2, 4)}
    assert all(one.is_unasked and one.max_age_s == 30 * DAY_S for one in waiting)
    with node.database.transaction() as cursor:
        found, behind = refreshing.old_pictures(cursor, Place(), time.time(), 2)
        rest, end = refreshing.old_pictures(cursor, behind or Place(), time.time(), 10)
    assert [one.key for one in found + rest] == [records[n].key for n in (2, 4, 1, 3, 0)]
    assert end is None


def test_what_was_checked_or_just_failed_is_left_alone(node: Node) -> None:
    checked, failed, deleted, old = stored(node, 50, 50, 50, 50)
    node.store.checks.mark(checked.key, time.time())
    node.failures.remember(failed.key, OriginReset(), CHECK)
    node.store.drop(deleted)
    node.walk.step()
    assert [one.key for one in claimed(node)] == [old.key]
    with node.database.transaction() as cursor:  # the row has caught up
        found, _ = refreshing.old_pictures(cursor, Place(), time.time() - DAY_S, 10)
    assert checked.key not in {one.key for one in found}


def test_each_picture_is_one_live_nodes_business(node: Node, tmp_path: Path) -> None:
    records = stored(node, *([50] * 40))
    states = PeerStates(tmp_path / "states.json")

    def queued_by(name: str, *alive: str) -> set[str]:
        for other in ("ic00", "ic01", "ic02"):
            is_alive = other in alive
            states.update(PeerState(other, "", alive=is_alive, last_seen=time.time()))
        others = [one for one in ("ic00", "ic01", "ic02") if one != name]
        placement = Placement(name, others, 0)
        walk = Walk(node.old_pictures, node.store, node.database, placement, states, 30 * DAY_S)
        walk.step()
        found = claimed(node)
        with node.database.transaction() as cursor:
            outcomes.settle(cursor, [Outcome(one.key, one.url) for one in found])
        return {one.key for one in found}

    shares = [
        queued_by("ic00", "ic01", "ic02"),
        queued_by("ic01", "ic00", "ic02"),
        queued_by("ic02", "ic00", "ic01"),
    ]
    assert sum(map(len, shares)) == len(set().union(*shares)) == len(records)
    assert all(shares)
    assert queued_by("ic01", "ic00") == {
        one.key for one in records if Placement("ic01", ["ic00"], 0).sees_to(one.key, {"ic00"})
    }
    assert len(queued_by("ic02")) == len(records)


def test_a_batch_takes_an_old_picture_over(node: Node) -> None:
    record, later = stored(node, 50, 60)
    assert node.old_pictures.asked_for([record.key, later.key, "no key", "0" * 64]) == 2
    batch = NewBatch("tester", time.time(), 0, (100,), 1, 0, 0, 0)
    with node.database.transaction() as cursor:
        intake.take_in(cursor, batch, [Wanted(record.key, record.url, "shop.example")])
    first, second = claimed(node)
    assert (first.key, first.is_unasked, first.max_age_s, first.thumbnails) == (
        record.key, False, None, (100,),
    )  # fmt: skip
    assert (second.key, second.is_unasked) == (later.key, True)
    lost = [Outcome(one.key, one.url, code="origin_reset", detail="x") for one in (first, second)]
    with node.database.transaction() as cursor:
        outcomes.settle(cursor, lost)
        cursor.execute("SELECT batch::text, key FROM prefetch_failures")
        assert cursor.fetchall() == [(str(batch.id), record.key)]
        assert refreshing.count(cursor) == 0


def test_the_youngest_age_that_a_batch_wants_counts(node: Node) -> None:
    (record,) = stored(node, 50)
    for max_age in (None, 600, 60, 3600):
        batch = NewBatch("tester", time.time(), 0, (), 1, 0, 0, 0, max_age=max_age)
        with node.database.transaction() as cursor:
            intake.take_in(cursor, batch, [Wanted(record.key, record.url, "shop.example")])
    assert [one.max_age_s for one in claimed(node)] == [60]


def test_a_check_is_news_once_and_never_what_a_peer_told(node: Node) -> None:
    record = dataclasses.replace(stored(node, 50)[0], etag='"1"', final_key="0" * 64)
    now = time.time()

    def news() -> list[feed.Change]:
        with node.database.transaction() as cursor:
            start = Position(feed.state(cursor)[0])
        with node.database.transaction() as cursor:
            return feed.read(cursor, start, 10)[1]

    def change_number() -> int:
        with node.database.transaction() as cursor:
            cursor.execute("SELECT change FROM images")
            (number,) = cursor.fetchall()[0]
            return int(number)

    def check(at: float | None, gone: int = 0) -> Check:
        asked_at = at or now
        return Check(record.key, record.sha256, at, asked_at, gone, '"1"', None, "0" * 64)

    before = change_number()
    with node.database.transaction() as cursor:
        catalog.record_checks(cursor, [check(now)], 60.0)
    told = change_number()
    assert told > before
    assert news()[0].etag == '"1"'
    assert news()[0].checked_at == pytest.approx(now, abs=0.001)
    with node.database.transaction() as cursor:
        catalog.record_checks(cursor, [check(now + 30)], 60.0)  # too soon to tell
        catalog.record_peers_checks(cursor, [check(now + 40)])
        catalog.record_checks(cursor, [check(None, gone=3)], 60.0)
        assert catalog.count_gone(cursor, 3) == 1
        assert catalog.count_gone(cursor, 4) == 0
    assert change_number() == told
    assert news()[0].checked_at == pytest.approx(now + 40, abs=0.001)
    with node.database.transaction() as cursor:
        catalog.record_checks(cursor, [check(now + 50)], 60.0)  # it is back: tell at once
        assert catalog.count_gone(cursor, 1) == 0
    assert change_number() > told
    with node.database.transaction() as cursor:  # a newer store knows nothing of that
        newer = dataclasses.replace(record, sha256="b" * 64, stored_at=now + 60, etag=None)
        catalog.upsert(cursor, [newer])
    assert (news()[0].etag, news()[0].checked_at) == (None, None)


def test_plans_use_the_indexes(settings: Settings) -> None:
    with Database(settings).transaction() as cursor:
        cursor.execute("set local enable_seqscan = off")
        values = {"before": 1.0, "since": "-infinity", "key": "", "most": 10}
        cursor.execute("explain " + refreshing.OLD, values)
        plan = str(cursor.fetchall())
        assert "images_age" in plan
        assert "Sort" not in plan
        cursor.execute("explain " + catalog.COUNT_GONE, {"least": 3})
        assert "images_gone" in str(cursor.fetchall())
        assert ASKED_FOR < -1000
