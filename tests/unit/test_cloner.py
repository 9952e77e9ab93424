"""When a clone worker goes on, waits, and gives up; the peers and the queue are stood in for."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daemons.peer_clone.cloner import MOST_TRIES_NOWHERE, Cloner
from image_cloud.cluster.peers import Sent
from image_cloud.config.fields import Peer
from image_cloud.db import catalog, clones
from image_cloud.db.clones import Request
from image_cloud.errors import DatabaseUnavailable, ImageCloudError, NotLocal, PeerAway
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record, Tombstone
from image_cloud.storage.store import Store

URL, CONTENT = "http://shop.example/a.jpg", b"\xff\xd8\xff the picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WANTED = Record(
    key_of(URL), URL, "shop.example", "jpeg", 1, 1, len(CONTENT), SHA256, 10.0, "origin"
)


class Peers:
    """Three peers; each sends bytes, raises an error, or (None) rests and is not asked."""

    def __init__(self, *says: bytes | ImageCloudError | None) -> None:
        self.all = tuple(Peer(f"ic0{n}", "") for n in range(len(says)))
        self._says = dict(zip(self.all, says, strict=True))
        self.asked: list[str] = []

    def candidates(self, key: str, first: str = "") -> list[Peer]:
        return [peer for peer in self.all if self._says[peer] is not None]

    def fetch(self, peer: Peer, url: str, write: Callable[[bytes], object]) -> Sent:
        self.asked.append(peer.name)
        said = self._says[peer]
        if isinstance(said, ImageCloudError):
            raise said
        assert said is not None
        write(said)
        return Sent(hashlib.sha256(said).hexdigest(), 10.0)


class Queue:
    """Stands for the tables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
        self.requests = [Request(WANTED, "ic01", attempts)]
        self.done: list[str] = []
        self.recorded: list[Record] = []
        self.postponed: list[str] = []
        self.released = 0
        self.is_away = False
        patch = monkeypatch.setattr
        patch(clones, "claim", lambda cursor, limit, lease_s: self.requests)
        patch(clones, "done", lambda c, wanted: self.done.extend(w.url for w in wanted))
        patch(clones, "postpone", lambda c, w, error, wait_s: self.postponed.append(error))
        patch(clones, "release", self._release)
        patch(catalog, "record", lambda c, records: self.recorded.extend(records))

    def _release(self, cursor: Any) -> None:
        self.released += 1

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self.is_away:
            raise DatabaseUnavailable
        yield None


def clone(store: Store, queue: Queue, peers: Peers) -> Cloner:
    worker = Cloner(store, queue, peers, retry_s=1, longest_retry_s=9, rest=lambda s: None)
    worker.step()
    return worker


def test_the_bytes_are_those_that_the_feed_told_of(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, peers = Queue(monkeypatch, 1), Peers(PeerAway(), b"others", CONTENT)
    clone(store, queue, peers)
    assert peers.asked == ["ic00", "ic01", "ic02"]
    original = store.originals.find(WANTED.key)
    assert original
    assert (store.originals.path(original)).read_bytes() == CONTENT
    assert [(r.stored_at, r.stored_from) for r in queue.recorded] == [(10.0, "ic02")]
    assert (queue.done, queue.postponed) == ([URL], [])
    assert list(store.records.unrecorded()) == []


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ((NotLocal(), NotLocal(), NotLocal()), None),
        ((NotLocal(), NotLocal(), None), "peer_away"),  # one rests: it may be the one that has it
        ((NotLocal(), PeerAway(), NotLocal()), "peer_away"),
        ((NotLocal(), b"other bytes", NotLocal()), "corrupt_image"),
    ],
)
def test_a_clone_is_given_up_only_when_everyone_said_no(
    store: Store, monkeypatch: pytest.MonkeyPatch, says: tuple[Any, ...], error: str | None
) -> None:
    queue = Queue(monkeypatch, MOST_TRIES_NOWHERE)
    clone(store, queue, Peers(*says))
    assert (queue.done, queue.postponed) == (([], [error]) if error else ([URL], []))
    early = Queue(monkeypatch, MOST_TRIES_NOWHERE - 1)
    clone(store, early, Peers(*says))
    assert early.postponed == [error or "not_local"]


def test_a_clone_that_was_deleted_meanwhile_is_done(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch, 1)
    store.bury(Tombstone(WANTED.key, URL, 11.0), now=20.0)
    clone(store, queue, Peers(CONTENT))
    assert (queue.done, queue.recorded, store.originals.find(WANTED.key)) == ([URL], [], None)


def test_what_is_here_already_is_not_fetched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, peers = Queue(monkeypatch, 1), Peers(CONTENT)
    clone(store, queue, peers)
    clone(store, queue, peers)
    assert peers.asked == ["ic00"]
    assert queue.done == [URL, URL]


def test_leases_are_given_back_after_an_outage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch, 1)
    worker = clone(store, queue, Peers(CONTENT))
    queue.is_away = True
    with pytest.raises(DatabaseUnavailable):
        worker.step()
    queue.is_away = False
    worker.step()
    worker.step()
    assert queue.released == 1
