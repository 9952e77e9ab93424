"""The cloning daemon's own jobs with a real PostgreSQL: what it prepares, starts and restores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.loop import Runner
from daemons.peer_clone.peer_clone import PeerClone, create
from daemons.peer_clone.rebuild import Rebuild
from daemons.peer_clone.resync import Resync
from image_cloud.cluster.absence import DAY_S, Contact, Freshness
from image_cloud.cluster.peer_states import PeerState
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, clones
from image_cloud.node import Node
from image_cloud.picture.record import Record, Tombstone
from image_cloud.process import json_file
from image_cloud.process.steps import Worker
from tests.cloning import change, keep, picture
from tests.node import new_node

PICTURE = picture(1)
ALONE = "node.name=ic00"
IN_A_CLUSTER = f"{ALONE};cluster.peers=ic00=http://127.0.0.1:1, ic01=http://127.0.0.1:2"


@pytest.fixture
def new(tmp_path: Path, settings: Settings) -> Callable[..., Node]:
    return lambda overrides="": new_node(tmp_path, overrides, settings)


@pytest.fixture
def node(new: Callable[..., Node]) -> Node:
    return new(IN_A_CLUSTER)


class Parts:
    """The main job, and the names of the threads that it started."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.started: list[str] = []
        self.caught_up: set[str] = set()
        self.goes_on = True
        go_on = lambda: self.goes_on  # noqa: E731
        self.resync = Resync(
            node.store, node.database, node.peers, node.freshness, node.peer_states.alive, go_on
        )
        self.rebuild = Rebuild(node.store, node.database, node.feed_guard, node.clock, go_on)
        jobs: dict[str, Worker] = {"follower-ic01": self.rebuild, "cloner-1": self.rebuild}
        self.main = PeerClone(
            node.database, node.peers, node.freshness, node.peer_states, self.resync, self.rebuild,
            jobs=jobs, start=self._start, caught_up=self.caught_up,
        )  # fmt: skip

    def _start(self, name: str, worker: Worker) -> None:
        self.started.append(name)


def keys(node: Node) -> list[str]:
    with node.database.transaction() as cursor:
        return [one.key for one in catalog.after(cursor, "", 100)]


def record(node: Node, *pictures: Record) -> None:
    with node.database.transaction() as cursor:
        catalog.upsert(cursor, pictures)


def test_the_first_step_takes_over_and_starts_the_threads_once(node: Node) -> None:
    with node.database.transaction() as cursor:
        clones.add(cursor, [change(PICTURE)], "ic01")
        assert clones.claim(cursor, 8, 900.0)  # by the process before, which is gone
        clones.save_cursor(cursor, "gone", "", "", 0, caught_up=True, before="")
    parts = Parts(node)
    parts.main.step()
    parts.main.step()
    assert parts.started == ["follower-ic01", "cloner-1"]
    with node.database.transaction() as cursor:
        assert clones.claim(cursor, 8, 900.0)
        assert clones.positions(cursor) == {}


def test_a_step_that_cannot_prepare_starts_nothing(node: Node, settings: Settings) -> None:
    parts = Parts(node)
    with node.database.transaction() as cursor:
        cursor.execute("ALTER TABLE clone_requests RENAME TO away")
    with pytest.raises(Exception, match="clone_requests"):
        parts.main.step()
    assert parts.started == []
    with node.database.transaction() as cursor:
        cursor.execute("ALTER TABLE away RENAME TO clone_requests")
    parts.main.step()
    assert parts.started == ["follower-ic01", "cloner-1"]


def test_contact_is_noted_once_a_feed_was_read_to_its_end(node: Node) -> None:
    parts = Parts(node)
    parts.main.step()
    assert node.freshness.last_contact() is None
    parts.caught_up.add("ic01")
    parts.main.step()
    assert node.freshness.last_contact()


class Starts(Runner):
    """Starts nothing, and says what it would."""

    def __init__(self, program: str, run: Path) -> None:
        super().__init__(program, run)
        self.started: list[str] = []

    def start(self, name: str, worker: Worker) -> None:
        self.started.append(name)


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [
        (ALONE, {"rebuild"}),
        (f"{IN_A_CLUSTER};cluster.workers=2",
         {"rebuild", "follower-ic01", "streamer-ic01", "cloner-1", "cloner-2"}),
        (f"{IN_A_CLUSTER};cluster.workers=1;cluster.replicas=1",
         {"rebuild", "follower-ic01", "streamer-ic01", "cloner-1", "rebalance"}),
        (f"{IN_A_CLUSTER};cluster.shared_storage=true", set()),
    ],
)  # fmt: skip
def test_a_node_s_threads(
    new: Callable[..., Node], tmp_path: Path, overrides: str, threads: set[str]
) -> None:
    runner = Starts("image-cloud-peer-clone", tmp_path)
    create(new(overrides), runner).step()
    assert set(runner.started) == threads


# --- after a long absence ---


def away_for(node: Node, days: float) -> None:
    now = node.clock.now()
    json_file.write(node.storage / "cluster" / "contact.json", Contact(now - days * DAY_S, ""))


def test_a_node_that_was_away_too_long_gets_back_what_it_alone_has(node: Node) -> None:
    own, deleted = PICTURE, picture(2)
    for one in (own, deleted):
        keep(node.store, one)
        node.store.records.settle(one)
        record(node, one)
    away_for(node, 100)
    parts = Parts(node)
    parts.main.step()
    assert node.freshness.is_resynchronising()
    assert keys(node) == []
    node.store.bury(Tombstone(deleted.key, deleted.url, deleted.stored_at + 1), node.clock.now())
    node.peer_states.update(PeerState("ic01", "", alive=True))
    parts.caught_up.add("ic01")
    parts.goes_on = False  # SIGTERM: the next process begins anew
    parts.main.step()
    assert node.freshness.is_resynchronising()
    parts.goes_on = True
    parts.main.step()
    assert not node.freshness.is_resynchronising()
    assert keys(node) == [own.key]
    assert node.store.originals.find(own.key)
    assert node.store.originals.find(deleted.key) is None


class Crashing(Freshness):
    """Dies in the moment when the catalogue was emptied."""

    def begin(self) -> None:
        raise KeyboardInterrupt


def test_a_crash_while_the_catalogue_is_emptied_loses_no_picture(node: Node) -> None:
    keep(node.store, PICTURE)
    node.store.records.settle(PICTURE)
    record(node, PICTURE)
    away_for(node, 100)
    assert node.freshness.ensure()

    def resync(freshness: Freshness) -> Resync:
        return Resync(node.store, node.database, node.peers, freshness, set, lambda: True)

    with pytest.raises(KeyboardInterrupt):
        resync(Crashing(node.storage, node.config.cluster.tombstone_days)).begin()
    assert keys(node) == []
    resync(node.freshness).begin()
    assert node.freshness.kept() == {PICTURE.key}


def test_a_catalogue_that_was_lost_is_rebuilt_from_files(node: Node) -> None:
    for number in range(3):
        keep(node.store, picture(number))
        node.store.records.settle(picture(number))
    parts = Parts(node)
    parts.goes_on = False  # SIGTERM: it is not complete
    parts.rebuild.step()
    assert node.feed_guard.needs_rebuild()
    parts.goes_on = True
    parts.rebuild.step()
    assert len(keys(node)) == 3
    assert not node.feed_guard.needs_rebuild()
