"""Copies that belong elsewhere go once their owners have them, with a real PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence

import pytest

from daemons.peer_clone.rebalance import PAUSE_S, Rebalance
from image_cloud.bulk.samples import END, absent, described
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.db import catalog
from image_cloud.errors import PeerAway
from image_cloud.node import Node
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.storage.recorder import commit_records
from tests.clock import Clock
from tests.storage import put

GRACE_S = 60.0
NODES = ["ic01", "ic02", "ic03"]


class Peers:
    """The other nodes, with the pictures that each is said to have; `away` ones do not answer."""

    def __init__(self) -> None:
        self.placement = Placement("ic00", NODES, 2)
        self.all = tuple(Peer(name, f"http://{name}") for name in NODES)
        self.copies: set[tuple[str, str, str]] = set()
        self.records: dict[str, Record] = {}
        self.away: set[str] = set()
        self.asked: list[str] = []
        self.knows_streams = True

    def has(self, peer: Peer, url: Url, sha256: str) -> bool:
        self.asked.append(peer.name)
        if peer.name in self.away:
            raise PeerAway
        return (peer.name, url.key, sha256) in self.copies

    @contextlib.contextmanager
    def originals(
        self, peer: Peer, keys: Sequence[str], *, records_only: bool
    ) -> Iterator[Iterator[bytes] | None]:
        assert records_only
        self.asked.append(peer.name)
        if peer.name in self.away:
            raise PeerAway
        yield self._told(peer, keys) if self.knows_streams else None

    def _told(self, peer: Peer, keys: Sequence[str]) -> Iterator[bytes]:
        for key in keys:
            held = [
                (at, sha256) for at, one, sha256 in self.copies if (at, one) == (peer.name, key)
            ]
            known = dataclasses.replace(self.records[key], sha256=held[0][1]) if held else None
            yield described(known, is_private=False) if known else absent(key)
        yield END

    def give(self, record: Record, *names: str) -> None:
        self.records[record.key] = record
        self.copies |= {(name, record.key, record.sha256) for name in names}


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


class Stop:
    """Whether SIGTERM has come."""

    def __init__(self) -> None:
        self.came = False

    def go_on(self) -> bool:
        return not self.came


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def rebalance(node: Node, peers: Peers, clock: Clock, stop: Stop) -> Rebalance:
    return Rebalance(
        node.store, node.database, peers, grace_s=GRACE_S, go_on=stop.go_on, clock=clock
    )


def url_of(placement: Placement, *, owned: bool) -> str:
    """Return a URL whose picture belongs on this node, or on two others."""
    urls = (f"http://shop.example/{number}.jpg" for number in range(1000))
    return next(url for url in urls if placement.owns(Url.parse(url).key) is owned)


def stored(node: Node, url: str) -> Record:
    record = put(node.store, url, 1000.0)
    commit_records(node.store, node.database, [record])
    return record


def is_here(node: Node, record: Record) -> bool:
    """Say whether the picture is on disk, and in the catalogue alike."""
    with node.database.transaction() as cursor:
        row = catalog.find(cursor, record.key)
    on_disk = node.store.originals.find(record.key)
    assert (row is None) is (on_disk is None)
    return row is not None


def test_a_copy_goes_when_both_owners_have_it(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    record = stored(node, url_of(peers.placement, owned=False))
    owners = peers.placement.owners(record.key)
    peers.give(record, owners[0])
    clock.now += GRACE_S + 1
    assert not rebalance.step()
    assert is_here(node, record), "one owner lacks it"
    peers.give(record, *owners)
    rebalance.step()
    assert is_here(node, record), "the next round has not come"
    clock.now += PAUSE_S
    rebalance.step()
    assert not is_here(node, record)
    assert set(peers.asked) <= set(owners)
    assert node.store.tombstones.find(record.key) is None


def test_each_owner_is_asked_once_for_many(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    urls = [f"http://shop.example/many/{number}.jpg" for number in range(40)]
    records = [stored(node, url) for url in urls]
    strange = [one for one in records if not peers.placement.owns(one.key)]
    for one in strange:
        peers.give(one, *NODES)
    other = strange[3]
    peers.copies -= {(name, other.key, other.sha256) for name in NODES}
    peers.copies |= {(name, other.key, "0" * 64) for name in NODES}
    clock.now += GRACE_S + 1
    rebalance.step()
    assert sorted(peers.asked) == NODES
    assert [one for one in strange if is_here(node, one)] == [other]


def test_owners_of_the_release_before_are_asked_one_by_one(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    record = stored(node, url_of(peers.placement, owned=False))
    peers.knows_streams = False
    clock.now += GRACE_S + 1
    rebalance.step()
    assert is_here(node, record)
    peers.give(record, *NODES)
    clock.now += PAUSE_S
    rebalance.step()
    assert not is_here(node, record)


def test_a_copy_that_came_just_now_stays(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    record = stored(node, url_of(peers.placement, owned=False))
    peers.give(record, *NODES)
    rebalance.step()
    assert is_here(node, record)
    assert peers.asked == []
    clock.now += GRACE_S + 1
    rebalance.step()
    assert not is_here(node, record)


def test_nothing_goes_while_an_owner_does_not_answer(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    record = stored(node, url_of(peers.placement, owned=False))
    peers.give(record, *NODES)
    peers.away.add(peers.placement.owners(record.key)[1])
    clock.now += GRACE_S + 1
    rebalance.step()
    assert is_here(node, record)


def test_what_belongs_here_stays_and_nobody_is_asked(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    record = stored(node, url_of(peers.placement, owned=True))
    peers.give(record, *NODES)
    clock.now += GRACE_S + 1
    rebalance.step()
    assert is_here(node, record)
    assert peers.asked == []


def test_a_newer_store_meanwhile_stays(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance
) -> None:
    url = url_of(peers.placement, owned=False)
    old = stored(node, url)
    new = put(node.store, url, 2000.0, b"\xff\xd8 and something else")
    peers.give(old, *NODES)
    clock.now += GRACE_S + 1
    rebalance.step()
    assert node.store.records.find(new.key) == new, "only the row was of the older one"


def test_after_sigterm_no_further_copy_goes(
    node: Node, peers: Peers, clock: Clock, rebalance: Rebalance, stop: Stop
) -> None:
    record = stored(node, url_of(peers.placement, owned=False))
    peers.give(record, *NODES)
    clock.now += GRACE_S + 1
    stop.came = True
    assert not rebalance.step()
    assert is_here(node, record)
    stop.came = False
    rebalance.step()
    assert not is_here(node, record)
