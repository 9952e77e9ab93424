"""The way of one original: who asks decides how its download is done."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.peers import Sent
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.errors import (
    Blocked,
    Busy,
    DeletedMeanwhile,
    ImageCloudError,
    OriginNotFound,
    RobotsRefused,
    StorageUnavailable,
    UrlForbidden,
)
from image_cloud.fetch import purpose
from image_cloud.fetch.arrival import Arrivals
from image_cloud.fetch.flights import Flights
from image_cloud.fetch.load import Cache, Found
from image_cloud.fetch.purpose import RESTORE, VISITOR, Keep, Purpose
from image_cloud.fetch.unstored import Unstored
from image_cloud.origin import Downloaded
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.headers.validators import NONE, Validators
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.process.locks import locked
from image_cloud.request.steps import HIT, MISS, PEER
from image_cloud.storage.failures import Failures
from image_cloud.storage.guard.outage import Outage
from image_cloud.storage.incoming import MemoryBudget
from image_cloud.storage.local.arriving import OnTheWay
from image_cloud.storage.store import Store
from tests.unit.test_arrival import FULL, JPEG

URL = Url.parse("http://shop.example/a.jpg")
SHA256, NOW = "5" * 64, 1000.0
SLOT: Any = object()


class Gate:
    """Notes with which slot, and how urgently, downloads go through."""

    def __init__(self) -> None:
        self.visits: list[tuple[Any, bool]] = []
        self.places = 0

    @contextlib.contextmanager
    def place(self, url: Url) -> Iterator[None]:
        self.places += 1
        yield

    @contextlib.contextmanager
    def visit(self, held: Any = None, *, urgent: bool) -> Iterator[Gate]:
        self.visits.append((held, urgent))
        yield self

    def enter(self, url: Url) -> None:
        pass


class Origin:
    """Sends a picture, or fails, after something else has happened."""

    def __init__(self, says: bytes | ImageCloudError, before: Callable[[], object]) -> None:
        self._says = says
        self._before = before
        self.asked = 0
        self.forbids = False

    def check(self, url: Url) -> None:
        if self.forbids:
            raise UrlForbidden

    def download(
        self,
        url: Url,
        write: Callable[[bytes], object],
        enter: Any,
        is_whole: Any,
        *,
        as_older: bool = False,
        known: Validators = NONE,
    ) -> Downloaded:
        self.asked += 1
        self._before()
        if isinstance(self._says, ImageCloudError):
            raise self._says
        write(self._says)
        return Downloaded(len(self._says), SHA256, "image/jpeg", url, True)


class Peers:
    """One peer that has the picture, or none."""

    def __init__(self, stored_at: float | None, before: Callable[[], object], has: bool) -> None:
        self.placement = Placement("ic00", ["ic01"], 0)
        self._stored_at = stored_at
        self._before = before
        self._has = has

    def candidates(self, key: str, first: str = "") -> list[Peer]:
        return [Peer("ic01", "")] if self._has else []

    def fetch(self, peer: Peer, url: Url, write: Callable[[bytes], object]) -> Sent:
        self._before()
        write(JPEG)
        return Sent(SHA256, self._stored_at)


class PatientFlights(Flights[Found]):
    """Notes how long each call would wait for another process."""

    def __init__(self, lock_file: Path) -> None:
        super().__init__(lock_file, 20.0)
        self.patience: list[float | None] = []

    def run(self, key: str, work: Callable[[], Found], patience_s: float | None = None) -> Found:
        self.patience.append(patience_s)
        return super().run(key, work, patience_s)


class Node:
    """A cache and what it is made of."""

    def __init__(
        self,
        store: Store,
        says: bytes | ImageCloudError = JPEG,
        *,
        peer_has: bool = False,
        peer_stored_at: float | None = None,
        before: Callable[[], object] = lambda: None,
        on_the_way: OnTheWay | None = None,
    ) -> None:
        self.store, self.gate, self.origin = store, Gate(), Origin(says, before)
        self.told: list[Record] = []
        self.failures = Failures(store.root, FailureSettings(), lambda: NOW)
        gate: Any = self.gate
        origin: Any = self.origin
        peers: Any = Peers(peer_stored_at, before, peer_has)
        no_database: Any = None
        self.lock_file = store.root / "incoming" / ".flights"
        self.flights = PatientFlights(self.lock_file)
        self.cache = Cache(
            store, self.failures, origin, gate, self.flights,
            Arrivals(store, FORMATS, self.told.append, MemoryBudget(10**6), on_the_way), peers,
            ClusterClock(store.root / "cluster" / "clock.json", lambda: NOW),
            Unstored(store.root / "memory", 10**6, 60.0), Outage(no_database),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("who", "slot", "urgent"),
    [
        (VISITOR, None, True),
        (purpose.prefetch(SLOT, Keep.STORED), SLOT, False),
        (RESTORE, None, False),
    ],
)
def test_only_visitors_are_urgent(store: Store, who: Purpose, slot: Any, urgent: bool) -> None:
    node = Node(store)
    assert node.cache.load(URL, who).source == MISS
    assert node.gate.visits == [(slot, urgent)]
    assert node.gate.places == urgent
    assert node.cache.load(URL, who).source == HIT
    assert [one.stored_at for one in node.told] == [NOW]


@pytest.mark.parametrize(
    ("who", "is_sent"), [(VISITOR, True), (purpose.prefetch(SLOT, Keep.STORED), False)]
)
def test_a_full_storage_serves_visitors_alone(
    tmp_path: Path, store: Store, who: Purpose, is_sent: bool
) -> None:
    node = Node(Store.at(tmp_path, FULL))
    with contextlib.nullcontext() if is_sent else pytest.raises(StorageUnavailable):
        assert node.cache.load(URL, who).data == JPEG


def test_a_full_storage_costs_the_origin_one_request(tmp_path: Path, store: Store) -> None:
    full = Store.at(tmp_path, FULL)
    nodes = [Node(full), Node(full)]  # two processes
    for number in range(14):
        assert nodes[number % 2].cache.load(URL).data == JPEG
    assert [node.origin.asked for node in nodes] == [1, 0]
    stored = Node(store)  # there is room again
    assert (stored.cache.load(URL).data, stored.origin.asked) == (None, 0)
    assert [one.stored_at for one in stored.told] == [NOW]


def test_what_was_deleted_does_not_come_from_memory(tmp_path: Path, store: Store) -> None:
    node = Node(Store.at(tmp_path, FULL))
    node.cache.load(URL)
    store.bury(Tombstone(URL.key, URL.text, NOW), now=NOW)
    assert node.cache.load(URL).data == JPEG
    assert node.origin.asked == 2
    store.bury(Tombstone(URL.key, URL.text, NOW + 10, blocked=True), now=NOW + 10)
    with pytest.raises(Blocked):
        node.cache.load(URL)


def test_a_visitor_waits_for_another_process_and_a_prefetch_does_not(store: Store) -> None:
    node, found = Node(store), list[Found]()
    visitor = threading.Thread(target=lambda: found.append(node.cache.load(URL)))
    with locked(node.lock_file, URL.key, 1.0):  # another process is at it
        with pytest.raises(Busy):
            node.cache.load(URL, purpose.prefetch(SLOT, Keep.STORED))
        visitor.start()
    visitor.join(60)
    assert [one.source for one in found] == [MISS]
    assert node.flights.patience == [0.0, None]


@pytest.mark.parametrize("failure", [OriginNotFound, UrlForbidden, RobotsRefused])
def test_a_failure_is_remembered(store: Store, failure: type[ImageCloudError]) -> None:
    """UrlForbidden is what a redirect or a name's address comes to."""
    node = Node(store, failure())
    for _ in range(2):
        with pytest.raises(failure):
            node.cache.load(URL)
    assert node.origin.asked == 1


def test_what_the_settings_forbid_is_not_remembered(store: Store) -> None:
    node = Node(store)
    node.origin.forbids = True
    with pytest.raises(UrlForbidden):
        node.cache.load(URL)
    node.origin.forbids = False
    assert node.cache.load(URL).source == MISS


def lost(stored_at: float = 10.0) -> Record:
    return Record(URL.key, URL.text, URL.host, "jpeg", 1, 1, 3, "a" * 64, stored_at, "origin")


def test_a_restored_picture_is_newer_than_the_lost_one_and_no_newer_than_a_delete(
    store: Store,
) -> None:
    node = Node(store)
    node.cache.restore(lost())
    assert [one.stored_at for one in node.told] == [10.000001]
    assert node.gate.visits == [(None, False)]


def test_a_restore_ends_on_disk_or_fails(tmp_path: Path, store: Store) -> None:
    node = Node(Store.at(tmp_path, FULL))
    with pytest.raises(StorageUnavailable):
        node.cache.restore(lost())


def test_a_peer_goes_before_the_origin(store: Store) -> None:
    node = Node(store, peer_has=True, peer_stored_at=7.0)
    assert node.cache.load(URL, use_peers=True).source == PEER
    assert [(one.stored_at, one.stored_from) for one in node.told] == [(7.0, "ic01")]
    assert node.origin.asked == 0


def test_a_delete_beats_what_a_peer_sends_without_its_time(store: Store) -> None:
    """The peer's picture counts from before the transfer, not from its end."""

    def delete() -> None:
        store.bury(Tombstone(URL.key, URL.text, NOW + 1), now=NOW + 1)

    node = Node(store, OriginNotFound(), peer_has=True, before=delete)
    with pytest.raises(OriginNotFound):
        node.cache.load(URL, use_peers=True)
    assert store.originals.find(URL.key) is None


def test_a_delete_beats_the_download_under_way(store: Store) -> None:
    def delete() -> None:
        store.bury(Tombstone(URL.key, URL.text, NOW + 1), now=NOW + 1)

    node = Node(store, before=delete)
    with pytest.raises(DeletedMeanwhile):
        node.cache.load(URL)
    assert store.originals.find(URL.key) is None
