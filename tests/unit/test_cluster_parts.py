import collections
import dataclasses
import json
from pathlib import Path

import pytest

from image_cloud import errors
from image_cloud.cluster.absence import DAY_S, Freshness
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.heard import MOST_AHEAD_S
from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.cluster.placement import Placement
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record, Tombstone
from image_cloud.storage.store import Store
from image_cloud.storage.tombstones import Tombstones
from tests.clock import Clock

URL = "http://shop.example/a.jpg"
KEY = key_of(URL)
NODES = ["ic00", "ic01", "ic02", "ic03"]
KEYS = [key_of(f"http://shop.example/{number}") for number in range(4000)]


def keep(store: Store, stored_at: float, content: bytes = b"abc", sha256: str = "0" * 64) -> None:
    record = Record(KEY, URL, "shop.example", "jpeg", 1, 1, 3, sha256, stored_at, "origin")
    with store.originals.new_file() as file:
        file.write(content)
        store.place(file, record)


# --- deletes ---


def test_a_store_older_than_its_delete_does_not_come_back(store: Store) -> None:
    keep(store, 10.0)
    assert store.bury(Tombstone(KEY, URL, 11.0), now=20.0)
    assert store.originals.find(KEY) is None
    assert store.records.find(KEY) is None
    with pytest.raises(errors.DeletedMeanwhile):
        keep(store, 11.0)
    assert list(store.records.unrecorded()) == []
    keep(store, 11.000001)
    assert store.originals.find(KEY)


def test_a_late_delete_of_an_older_store_leaves_the_newer(store: Store) -> None:
    keep(store, 10.0)
    assert not store.bury(Tombstone(KEY, URL, 9.0), now=20.0)
    assert store.originals.find(KEY)
    assert not store.bury(Tombstone(KEY, URL, 8.0), now=20.0)
    found = store.tombstones.find(KEY)
    assert found
    assert found.deleted_at == 9.0


def test_a_store_from_the_future_is_no_newer_than_a_delete(store: Store) -> None:
    keep(store, 3610.0)
    assert store.bury(Tombstone(KEY, URL, 15.0), now=20.0)


def test_a_block_forbids_every_store_until_it_is_lifted(store: Store) -> None:
    store.bury(Tombstone(KEY, URL, 10.0, blocked=True), now=20.0)
    with pytest.raises(errors.Blocked):
        keep(store, 15.0)
    with pytest.raises(errors.Blocked):
        store.tombstones.check_blocked(KEY)
    store.bury(Tombstone(KEY, URL, 12.0), now=20.0)
    keep(store, 15.0)


def test_a_delete_with_a_full_disk_removes_first(store: Store) -> None:
    keep(store, 10.0)
    failed: list[Tombstone] = []

    class FullUntilRemoved(Tombstones):
        def write(self, tombstone: Tombstone) -> None:
            if store.originals.find(KEY):
                failed.append(tombstone)
                raise OSError(28, "No space left on device")
            super().write(tombstone)

    full = dataclasses.replace(store, tombstones=FullUntilRemoved(store.root))
    assert full.bury(Tombstone(KEY, URL, 11.0), now=20.0)
    assert failed
    assert store.tombstones.find(KEY)


def test_notes_of_deletes_stay_until_the_database_knows(store: Store) -> None:
    stone = Tombstone(KEY, URL, 11.0)
    store.bury(stone, now=20.0)
    assert list(store.tombstones.unrecorded()) == [stone]
    store.tombstones.settle(Tombstone(KEY, URL, 10.0))
    assert list(store.tombstones.unrecorded()) == [stone]
    store.tombstones.settle(stone)
    assert list(store.tombstones.unrecorded()) == []


def test_tombstones_expire_and_blocks_do_not(store: Store) -> None:
    store.bury(Tombstone(KEY, URL, 10.0, blocked=True), now=20.0)
    store.bury(Tombstone(KEYS[0], "http://shop.example/0", 10.0), now=20.0)
    assert store.tombstones.expire(before=10.0) == 0
    assert store.tombstones.expire(before=11.0) == 1
    assert [stone.key for stone in store.tombstones.all()] == [KEY]


def test_tombstones_expire_some_at_a_time(store: Store) -> None:
    for number, key in enumerate(KEYS[:5]):
        store.bury(Tombstone(key, f"http://shop.example/{number}", 10.0), now=20.0)
    assert [store.tombstones.expire(11.0, most=2) for _ in range(4)] == [2, 2, 1, 0]
    store.bury(Tombstone(KEYS[0], "http://shop.example/0", 10.0), now=20.0)
    assert store.tombstones.expire(11.0, most=2) == 1


def test_of_two_stores_the_newer_stays(store: Store) -> None:
    keep(store, 10.0, b"new")
    keep(store, 9.0, b"old")
    original = store.originals.find(KEY)
    assert original
    assert (store.originals.path(original)).read_bytes() == b"new"
    store.variants.keep(KEY, {"1x1-fit-q85.jpg": b"of the first"})
    keep(store, 10.0, b"end", sha256="1" * 64)
    assert (store.originals.path(original)).read_bytes() == b"end"
    assert not store.variants.has(KEY, "1x1-fit-q85.jpg")


# --- time ---


def test_the_cluster_s_time_is_that_of_its_fastest_clock(tmp_path: Path) -> None:
    clock, steady = Clock(1000.0), Clock(1000.0)
    here = ClusterClock(tmp_path / "clock.json", clock, steady)
    here.hear("slow", 400.0)
    assert here.now() == 1000.0
    here.hear("fast", 4600.0)
    assert here.now() == 4600.0
    steady.now += 10
    elsewhere = ClusterClock(tmp_path / "clock.json", clock, steady)
    clock.now += 1
    assert elsewhere.now() == 4601.0
    here.hear("fast", 1001.0)  # set right again
    assert here.now() == 1001.0
    here.hear("broken", 1001.0 + MOST_AHEAD_S + 1)
    assert here.now() == 1001.0


# --- placement ---


def test_every_node_keeps_everything_by_default() -> None:
    for replicas in (0, 4, 9):
        placement = Placement("ic00", NODES, replicas)
        assert not placement.is_limited
        assert all(placement.owns(key) for key in KEYS)


def test_each_picture_has_its_share_of_nodes_and_each_node_of_pictures() -> None:
    counts: collections.Counter[str] = collections.Counter()
    for key in KEYS:
        owners = Placement("ic02", NODES, 2).owners(key)
        assert owners == Placement("ic00", NODES, 2).owners(key)
        assert len(set(owners)) == 2
        counts.update(owners)
    assert all(0.9 < counts[node] / (len(KEYS) / 2) < 1.1 for node in NODES)


def test_a_new_node_takes_only_its_share() -> None:
    before, after = Placement("ic00", NODES, 2), Placement("ic00", [*NODES, "ic04"], 2)
    moved = 0
    for key in KEYS:
        old, new = set(before.owners(key)), set(after.owners(key))
        assert new - old <= {"ic04"}  # nothing moves between the others
        moved += len(new - old)
    assert 0.9 < moved / (len(KEYS) * 2 / 5) < 1.1
    assert before.fingerprint != after.fingerprint


# --- a node that was away ---


def test_a_node_away_for_longer_than_deletes_are_kept_moves_all_aside(store: Store) -> None:
    clock = Clock(1000.0)
    fresh = Freshness(store.root, 90, clock)
    assert not fresh.ensure()  # never was in contact: it is new
    fresh.contact("e.1.2")
    keep(store, 10.0)
    store.bury(Tombstone(KEYS[0], "http://shop.example/0", 10.0), now=20.0)
    clock.now += 90 * DAY_S
    assert not fresh.ensure()
    clock.now += 2
    assert Freshness(store.root, 90, clock).ensure()
    assert store.originals.find(KEY) is None
    assert fresh.is_resynchronising()
    assert not fresh.has_begun()
    assert fresh.safe_position() == "e.1.2"
    assert len(list(store.tombstones.unrecorded())) == 1
    assert not fresh.ensure()
    fresh.plan([KEY])
    assert fresh.is_planned()
    assert not fresh.has_begun()
    fresh.begin()
    assert fresh.has_begun()
    assert fresh.kept() == {KEY}
    fresh.finish()
    assert not fresh.is_resynchronising()
    assert sorted(path.name for path in store.root.glob("aside*")) == []


def test_states_of_peers_survive_a_restart(tmp_path: Path) -> None:
    states = PeerStates(tmp_path / "peers.json")
    states.update(PeerState("ic01", "http://ic01", alive=True, backlog=3))
    assert PeerStates(tmp_path / "peers.json").read()["ic01"].backlog == 3
    (tmp_path / "peers.json").write_text(json.dumps([{"name": 1, "other": 2}]))
    assert PeerStates(tmp_path / "peers.json").read() == {}
