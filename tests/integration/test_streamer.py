"""What a stream settles, and what it leaves to others; the peers are stood in for by their stores."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemons.peer_clone.claims import Later
from daemons.peer_clone.cloner import Cloner
from daemons.peer_clone.streamer import Streamer
from daemons.peer_clone.streams import LEAST, Streams
from image_cloud.bulk.group import MOST_FILES, Group
from image_cloud.bulk.sending import stream
from image_cloud.cluster.peers import Sent
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, clones
from image_cloud.db.connect import Database
from image_cloud.errors import Busy, DatabaseUnavailable, ImageCloudError, PeerAway, PeerBroken
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store
from tests.cloning import CONTENT, change, keep, picture, sha256
from tests.storage import new_store

PICTURES = [picture(number) for number in range(LEAST + 8)]
Change = Callable[[bytes], bytes]


class Peers:
    """ic01, which streams what is in `source`, and ic02, which only sends pictures; ic00 asks."""

    def __init__(self, source: Store, replicas: int = 0) -> None:
        self.all = (Peer("ic01", ""), Peer("ic02", ""))
        self.placement = Placement("ic00", ["ic01", "ic02"], replicas)
        self.source = source
        self.away: set[str] = set()
        self.asked: list[list[str]] = []
        self.fetched: list[str] = []
        self.says: ImageCloudError | None = None
        self.knows_streams = True
        self.change: Change = lambda body: body
        self.during: Callable[[], object] = lambda: None

    def may_ask(self, peer: Peer) -> bool:
        return peer.name not in self.away

    def is_away(self, peer: Peer) -> bool:
        return peer.name in self.away

    @contextlib.contextmanager
    def originals(self, peer: Peer, keys: Sequence[str]) -> Iterator[Iterator[bytes] | None]:
        if self.says:
            raise self.says
        if not self.knows_streams or peer.name != "ic01":
            yield None
            return
        self.asked.append(list(keys))
        try:
            yield self._blocks(keys)
        except PeerBroken as error:
            raise PeerAway(error.detail) from None

    def _blocks(self, keys: Sequence[str]) -> Iterator[bytes]:
        body = self.change(b"".join(stream(self.source, keys, 600.0)))
        for at in range(0, len(body), 1000):
            self.during()
            yield body[at : at + 1000]

    def candidates(self, key: str, first: str = "") -> list[Peer]:
        return [peer for peer in self.all if peer.name not in self.away]

    def fetch(self, peer: Peer, url: Url, write: Callable[[bytes], object]) -> Sent:
        self.fetched.append(url.key)
        write(CONTENT)
        return Sent(sha256(CONTENT), 10.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "storage")


@pytest.fixture
def source(tmp_path: Path) -> Store:
    source = new_store(tmp_path / "source")
    for one in PICTURES:
        keep(source, one)
    return source


@pytest.fixture
def peers(source: Store) -> Peers:
    return Peers(source)


class Cloning:
    """A streamer from ic01 or another, and a cloner beside it."""

    def __init__(self, store: Store, database: Database, peers: Peers, name: str = "ic01") -> None:
        self.streams, self.goes_on, self.now = Streams(), True, 0.0
        later = Later(database, retry_s=600, longest_retry_s=600)
        self.streamer = Streamer(
            next(peer for peer in peers.all if peer.name == name), peers, store, database,
            self.streams, later, most_bytes=10**6, news=threading.Event(),
            go_on=lambda: self.goes_on, clock=lambda: self.now,
        )  # fmt: skip
        self.streamer.idle_s = 0.0
        self.cloner = Cloner(
            store, database, peers, self.streams, later,
            news=threading.Event(), go_on=lambda: self.goes_on,
        )  # fmt: skip
        self.cloner.idle_s = 0.0


@pytest.fixture
def cloning(store: Store, database: Database, peers: Peers) -> Cloning:
    return Cloning(store, database, peers)


def queue(database: Database, wanted: Sequence[Record] = PICTURES, peer: str = "ic01") -> None:
    with database.transaction() as cursor:
        clones.add(cursor, map(change, wanted), peer)


def waiting(database: Database) -> dict[str, tuple[int, str | None, bool]]:
    """Return, by key, how often it was tried, its last error, and whether it is due."""
    with database.transaction() as cursor:
        cursor.execute("SELECT key, attempts, last_error, not_before <= now() FROM clone_requests")
        return {key: (attempts, error, due) for key, attempts, error, due in cursor.fetchall()}


def here(store: Store, database: Database) -> set[str]:
    """Return the keys that disk and catalogue agree on."""
    with database.transaction() as cursor:
        rows = {one.key for one in catalog.after(cursor, "", 1000)}
    assert rows == {one.key for one in PICTURES if store.originals.find(one.key)}
    assert list(store.records.unrecorded()) == []
    return rows


KEYS = {one.key for one in PICTURES}


def test_one_stream_brings_all_that_waits(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    cloning.streamer.step()
    assert waiting(database) == {}
    assert here(store, database) == KEYS
    assert (len(peers.asked), peers.fetched) == (1, [])
    for one in PICTURES:
        original, record = store.originals.find(one.key), store.records.find(one.key)
        assert original
        assert store.originals.path(original).read_bytes() == CONTENT
        assert record == dataclasses.replace(one, stored_from="ic01")


def test_what_a_feed_has_just_told_is_left_to_a_stream(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    cloning.streams.expect("ic01", len(PICTURES))
    queue(database)
    cloning.cloner.step()
    assert peers.fetched == []
    cloning.streamer.step()
    assert here(store, database) == KEYS
    assert peers.fetched == []


def test_what_a_feed_tells_while_its_streamer_looks_waits_for_the_next_look() -> None:
    streams = Streams()
    streams.look("ic01")
    streams.expect("ic01", LEAST)
    streams.take("ic01", ())
    assert streams.names() == {"ic01"}
    streams.look("ic01")
    assert streams.names() == {"ic01"}
    streams.take("ic01", ())
    assert streams.names() == frozenset()


def test_cloners_begin_at_once_with_what_is_too_little_for_a_stream(
    database: Database, peers: Peers, cloning: Cloning
) -> None:
    cloning.streams.expect("ic01", LEAST - 1)
    queue(database, PICTURES[: LEAST - 1])
    cloning.cloner.step()
    assert peers.fetched


def test_cloners_begin_once_the_streamer_cannot(
    database: Database, peers: Peers, cloning: Cloning
) -> None:
    peers.knows_streams = False
    queue(database)
    cloning.streamer.step()
    cloning.streams.expect("ic01", len(PICTURES))
    cloning.streamer.step()
    cloning.cloner.step()
    assert peers.fetched


def test_a_few_are_left_to_the_cloners(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database, PICTURES[: LEAST - 1])
    cloning.streamer.step()
    assert peers.asked == []
    cloning.cloner.step()
    assert len(peers.fetched) == 8


def test_cloners_leave_a_backlog_to_its_stream_but_take_what_it_did_not_bring(
    database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    peers.during = cloning.cloner.step
    peers.source.drop(PICTURES[5])
    cloning.streamer.step()
    assert peers.fetched == []
    assert waiting(database) == {PICTURES[5].key: (1, None, True)}
    cloning.cloner.step()
    assert peers.fetched == [PICTURES[5].key]
    assert waiting(database) == {}


def test_what_is_here_is_not_asked_for(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    for one in PICTURES[:10]:
        keep(store, one)
    store.bury(Tombstone(PICTURES[10].key, PICTURES[10].url, 9e8), now=9e9)
    queue(database)
    cloning.streamer.step()
    assert set(peers.asked[0]) == {one.key for one in PICTURES[11:]}
    assert waiting(database) == {}


def test_what_belongs_elsewhere_now_is_not_asked_for(
    store: Store, database: Database, source: Store
) -> None:
    peers = Peers(source, replicas=1)
    queue(database)
    Cloning(store, database, peers).streamer.step()
    own = {key for key in KEYS if peers.placement.owns(key)}
    assert set(peers.asked[0]) == own < KEYS
    assert here(store, database) == own
    assert waiting(database) == {}


def test_a_delete_during_the_stream_wins(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    deleted = PICTURES[3]
    queue(database)

    def delete() -> None:
        tombstone = Tombstone(deleted.key, deleted.url, deleted.stored_at + 1)
        store.bury(tombstone, now=9e9)
        with database.transaction() as cursor:
            catalog.bury(cursor, [tombstone], 9e9)

    peers.during = delete
    cloning.streamer.step()
    assert here(store, database) == KEYS - {deleted.key}
    assert waiting(database) == {}


def test_a_stream_that_is_cut_off_is_settled_so_far_and_the_rest_is_asked_for_one_by_one(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    peers.change = lambda body: body[: len(body) // 2]
    cloning.streamer.step()
    left = waiting(database)
    assert set(left) | here(store, database) == KEYS
    assert 0 < len(left) < len(KEYS)
    assert set(left.values()) == {(1, None, True)}
    while waiting(database):
        cloning.cloner.step()
    assert here(store, database) == KEYS


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(CONTENT, b"\xff\xd8\xff the pictura", 1),
        lambda body: body.replace(b"http://shop.example/", b"http://shop.exampl3/", 1),
        lambda body: body.replace(b'"stored_at": ', b'"stored_at":-', 1),
    ],
)
def test_a_damaged_sample_costs_nothing_but_itself(
    store: Store, database: Database, peers: Peers, cloning: Cloning, change: Change
) -> None:
    queue(database)
    peers.change = change
    cloning.streamer.step()
    ((key, told),) = waiting(database).items()
    assert told == (1, "corrupt_image", False)
    assert here(store, database) == KEYS - {key}


def test_a_malformed_stream_ends_that_stream_alone(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    peers.change = lambda body: b"<html>" + body
    cloning.streamer.step()
    assert here(store, database) == set()
    assert set(waiting(database).values()) == {(1, None, True)}


def test_a_peer_of_before_is_asked_picture_by_picture(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    peers.knows_streams = False
    cloning.streamer.step()
    assert set(waiting(database).values()) == {(0, None, True)}
    cloning.streamer.step()  # it rests now, and the cloners take what waits
    cloning.cloner.step()
    assert len(peers.fetched) == 8
    peers.knows_streams, cloning.now = True, 601.0
    cloning.streamer.step()
    assert here(store, database) == KEYS


@pytest.mark.parametrize("says", [Busy(retry_after_s=1.0), PeerAway()])
def test_a_peer_without_a_place_or_away_costs_no_try(
    store: Store, database: Database, peers: Peers, cloning: Cloning, says: ImageCloudError
) -> None:
    queue(database)
    peers.says = says
    cloning.streamer.step()
    assert set(waiting(database).values()) == {(0, None, True)}
    peers.says, cloning.now = None, 2.0
    cloning.streamer.step()
    assert here(store, database) == KEYS


def test_what_a_dead_peer_told_of_comes_from_another(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database, peer="ic02")
    cloning.streamer.step()
    assert peers.asked == []
    peers.away.add("ic02")
    cloning.streamer.step()
    assert here(store, database) == KEYS


def test_after_sigterm_what_came_is_settled_and_the_rest_waits(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    peers.during = lambda: setattr(cloning, "goes_on", False)
    cloning.streamer.step()
    assert len(here(store, database)) == 1
    assert set(waiting(database).values()) == {(0, None, True)}


def test_a_full_storage_ends_the_stream_for_a_while(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    (store.root / "incoming").rmdir()
    cloning.streamer.step()
    assert set(waiting(database).values()) == {(0, None, True)}
    (store.root / "incoming").mkdir()
    cloning.streamer.step()
    assert len(peers.asked) == 1
    cloning.now = 60.0
    cloning.streamer.step()
    assert here(store, database) == KEYS


def test_large_pictures_come_in_several_streams(
    store: Store, database: Database, peers: Peers, cloning: Cloning
) -> None:
    queue(database)
    with database.transaction() as cursor:
        cursor.execute("UPDATE clone_requests SET bytes = 50000000")
    cloning.streamer.step()
    assert len(peers.asked[0]) == 5
    assert (
        len([one for one in waiting(database).values() if one == (0, None, True)]) == len(KEYS) - 5
    )


class Outages(Database):
    """Goes away when it is told to, and while it `fails`."""

    is_away = False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.fails: Callable[[], bool] = lambda: False

    def transaction(self) -> Any:
        if self.is_away or self.fails():
            raise DatabaseUnavailable
        return super().transaction()


def test_leases_are_given_back_after_an_outage(
    store: Store, settings: Settings, peers: Peers
) -> None:
    database = Outages(settings)
    queue(database)
    cloning = Cloning(store, database, peers)
    peers.during = lambda: setattr(database, "is_away", True)
    with pytest.raises(DatabaseUnavailable):
        cloning.streamer.step()
    database.is_away, peers.during = False, lambda: None
    cloning.streamer.step()
    while waiting(database):
        cloning.cloner.step()
    assert {one.key for one in PICTURES if store.originals.find(one.key)} == KEYS


def test_groups_that_were_named_but_not_recorded_in_an_outage_do_not_come_again(
    store: Store, source: Store, settings: Settings, peers: Peers
) -> None:
    pictures = [picture(number) for number in range(3 * MOST_FILES)]
    keep_all(source, pictures)
    database = Outages(settings)
    queue(database, pictures)
    cloning = Cloning(store, database, peers)
    database.fails = lambda: bool(os.listdir(store.root / "unrecorded"))
    with pytest.raises(DatabaseUnavailable):
        cloning.streamer.step()
    named = {one.key for one in pictures if store.originals.find(one.key)}
    database.fails = lambda: False
    cloning.streamer.step()
    assert named
    assert not named & set(peers.asked[1])
    with database.transaction() as cursor:
        rows = catalog.after(cursor, "", 1000)
    assert {one.key for one in rows} == {one.key for one in pictures}
    assert waiting(database) == {}
    assert list(store.records.unrecorded()) == []


def keep_all(store: Store, pictures: Sequence[Record]) -> None:
    """Put the pictures into `store` with one flush."""
    with Group(store) as group:
        for one in pictures:
            file = store.originals.new_file()
            file.write(CONTENT)
            group.add(file, one, is_private=False)
        group.place()


def test_claims_find_their_rows_by_indexes(database: Database) -> None:
    values = {"limit": 8, "lease_s": 1, "peer": "ic01", "most": LEAST}
    with database.transaction() as cursor:
        cursor.execute("set local enable_seqscan = off")
        for statement, index in (
            (clones.CLAIM_NEW, "clone_requests_new"),
            (clones.DUE, "clone_requests_new"),
            (clones.CLAIM_AGAIN, "clone_requests_again"),
        ):
            cursor.execute("explain " + statement, values)
            assert index in str(cursor.fetchall()), statement
