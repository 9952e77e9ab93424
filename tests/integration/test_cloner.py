"""When a clone worker goes on, waits, and gives up; the peers are stood in for."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemons.peer_clone.claims import Later, Leases, settle
from daemons.peer_clone.cloner import MOST_TRIES_NOWHERE, Cloner
from daemons.peer_clone.streams import Streams
from image_cloud.cluster.peers import Sent
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, clones, whole_catalog
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable, ImageCloudError, NotLocal, PeerAway
from image_cloud.picture.record import Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store
from tests.cloning import CONTENT, change, picture, sha256
from tests.storage import new_store

WANTED = picture(1)


class Peers:
    """Three peers; each sends bytes, raises an error, or (None) rests and is not asked."""

    def __init__(self, *says: bytes | ImageCloudError | None) -> None:
        self.all = tuple(Peer(f"ic0{n}", "") for n in range(len(says)))
        self._says = dict(zip(self.all, says, strict=True))
        self.asked: list[str] = []
        self.during: Callable[[], object] = lambda: None

    def candidates(self, key: str, first: str = "") -> list[Peer]:
        return [peer for peer in self.all if self._says[peer] is not None]

    def fetch(self, peer: Peer, url: Url, write: Callable[[bytes], object]) -> Sent:
        self.asked.append(peer.name)
        said = self._says[peer]
        if isinstance(said, ImageCloudError):
            raise said
        assert said is not None
        self.during()
        write(said)
        return Sent(sha256(said), 10.0)


ROUNDS = 100


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "storage")


def queue(database: Database, *wanted: Any, attempts: int = 0) -> None:
    with database.transaction() as cursor:
        clones.add(cursor, map(change, wanted), "ic01")
        cursor.execute("UPDATE clone_requests SET attempts = %s", [attempts])


def waiting(database: Database) -> list[tuple[str, str | None]]:
    """Return the key and the last error of what still waits."""
    with database.transaction() as cursor:
        cursor.execute("SELECT key, last_error FROM clone_requests ORDER BY stored_at")
        return list(cursor.fetchall())


def recorded(database: Database) -> list[tuple[float, str]]:
    with database.transaction() as cursor:
        found = catalog.find_all(cursor, [WANTED.key])
    return [(one.stored_at, one.stored_from) for one in found.values()]


def cloner(
    store: Store, database: Database, peers: Peers, go_on: Callable[[], bool] = lambda: True
) -> Cloner:
    later = Later(database, retry_s=1, longest_retry_s=9)
    return Cloner(store, database, peers, Streams(), later, news=threading.Event(), go_on=go_on)


def test_the_bytes_are_those_that_the_feed_told_of(store: Store, database: Database) -> None:
    peers = Peers(PeerAway(), b"others", CONTENT)
    queue(database, WANTED)
    assert cloner(store, database, peers).step()
    assert peers.asked == ["ic00", "ic01", "ic02"]
    original = store.originals.find(WANTED.key)
    assert original
    assert store.originals.path(original).read_bytes() == CONTENT
    assert recorded(database) == [(WANTED.stored_at, "ic02")]
    assert waiting(database) == []
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
    store: Store, database: Database, says: tuple[Any, ...], error: str | None
) -> None:
    queue(database, WANTED, attempts=MOST_TRIES_NOWHERE - 2)
    cloner(store, database, Peers(*says)).step()
    assert waiting(database) == [(WANTED.key, error or "not_local")]
    queue(database, WANTED, attempts=MOST_TRIES_NOWHERE - 1)
    with database.transaction() as cursor:
        clones.release(cursor)
    cloner(store, database, Peers(*says)).step()
    assert waiting(database) == ([(WANTED.key, error)] if error else [])


def test_a_clone_that_was_deleted_meanwhile_is_done(store: Store, database: Database) -> None:
    store.bury(Tombstone(WANTED.key, WANTED.url, WANTED.stored_at + 1), now=WANTED.stored_at + 9)
    queue(database, WANTED)
    cloner(store, database, Peers(CONTENT)).step()
    assert waiting(database) == []
    assert recorded(database) == []
    assert store.originals.find(WANTED.key) is None


def test_what_is_here_already_is_not_fetched(store: Store, database: Database) -> None:
    peers = Peers(CONTENT)
    for _ in range(2):
        with database.transaction() as cursor:
            whole_catalog.forget_after(cursor, "", 2**62, 10)
        queue(database, WANTED)
        cloner(store, database, peers).step()
        assert waiting(database) == []
    assert peers.asked == ["ic00"]


def test_a_newer_store_of_the_same_bytes_is_not_fetched(store: Store, database: Database) -> None:
    peers, newer = Peers(CONTENT), dataclasses.replace(WANTED, stored_at=WANTED.stored_at + 5)
    for wanted in (WANTED, newer):
        queue(database, wanted)
        cloner(store, database, peers).step()
    assert peers.asked == ["ic00"]
    assert [stored_at for stored_at, _ in recorded(database)] == [newer.stored_at]


class Outages(Database):
    """Goes away when it is told to."""

    is_away = False

    def transaction(self) -> Any:
        if self.is_away:
            raise DatabaseUnavailable
        return super().transaction()


def test_leases_are_given_back_after_an_outage(store: Store, settings: Settings) -> None:
    database, peers = Outages(settings), Peers(CONTENT)
    queue(database, WANTED)
    worker = cloner(store, database, peers)
    peers.during = lambda: setattr(database, "is_away", True)
    with pytest.raises(DatabaseUnavailable):
        worker.step()
    database.is_away = False
    worker.step()  # at once: not when the lease of 15 minutes has run out
    assert waiting(database) == []


def test_after_sigterm_the_picture_under_way_is_finished_and_no_other_begun(
    store: Store, database: Database
) -> None:
    stop, peers = threading.Event(), Peers(CONTENT)
    queue(database, WANTED, picture(2), picture(3))
    peers.during = stop.set
    cloner(store, database, peers, lambda: not stop.is_set()).step()
    assert peers.asked == ["ic00"]
    with database.transaction() as cursor:
        assert len(catalog.after(cursor, "", 9)) == 1
    assert len(waiting(database)) == 2
    with database.transaction() as cursor:
        clones.release(cursor)  # the next process does so
    cloner(store, database, peers).step()
    assert waiting(database) == []


def test_a_transfer_that_gets_on_is_marked(store: Store, database: Database) -> None:
    marks: list[None] = []

    def go_on() -> bool:
        marks.append(None)
        return True

    peers = Peers(CONTENT)
    queue(database, WANTED)
    peers.during = marks.clear
    cloner(store, database, peers, go_on).step()
    assert marks


def test_a_worker_that_waits_is_woken(store: Store, database: Database) -> None:
    worker = cloner(store, database, Peers(CONTENT))
    worker.idle_s = 600.0
    done = threading.Event()

    def wait() -> None:
        worker.step()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    worker.wake()
    assert done.wait(60)


def test_whoever_changes_the_queue_waits_for_nobody_who_waits_for_it(database: Database) -> None:
    pictures = [picture(number) for number in range(300)]
    broken: list[Exception] = []

    def tell(peer: str) -> None:
        for version in range(ROUNDS):
            newer = [
                dataclasses.replace(one, stored_at=one.stored_at + version) for one in pictures
            ]
            with database.transaction() as cursor:
                clones.alone(cursor)
                clones.add(cursor, map(change, newer), peer)

    def work(most: int) -> None:
        leases = Leases()
        for _ in range(ROUNDS):
            with database.transaction() as cursor, leases.claiming(cursor):
                requests = clones.claim(cursor, most, 900.0)
            with database.transaction() as cursor:
                clones.alone(cursor)
                clones.give_back(cursor, [one.wanted.key for one in requests[::2]], 0)
            with database.transaction() as cursor:
                settle(cursor, [], [], [one.wanted for one in requests[1::2]])

    def run(job: Callable[[Any], None], argument: Any) -> None:
        try:
            job(argument)
        except DatabaseUnavailable as error:
            broken.append(error)

    jobs = [(tell, "ic01"), (tell, "ic02"), (work, 8), (work, 8), (work, 1000), (work, 100)]
    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
