"""The prefetch dispatcher and its parts: real PostgreSQL, real slots, and downloads that a test ends."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemons.prefetch.claims import SLOT_AGAIN_S, Claims
from daemons.prefetch.dispatcher import Dispatcher
from daemons.prefetch.giving_up import GivingUp
from daemons.prefetch.grouping import Grouping
from daemons.prefetch.housekeeping import PROMOTE_S, TROUBLE_S, Housekeeping
from daemons.prefetch.leases import Leases
from daemons.prefetch.outcomes import Outcomes
from daemons.prefetch.storage_pause import PAUSE_S, StoragePause
from daemons.prefetch.wiring import wire
from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches, intake
from image_cloud.db.prefetch.intake import NewBatch, Wanted
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.errors import DatabaseUnavailable, OriginReset, OriginStatus, StorageUnavailable
from image_cloud.node import Node
from image_cloud.politeness.limits import LimitsFile
from image_cloud.politeness.slots import Slot, Slots
from image_cloud.process.locks import Locks
from tests.clock import Clock
from tests.node import new_node

THREADS, LEASE_S, DAY_S, DEADLINE_S = 8, 60.0, 86400.0, 60.0
GIVE_UP_S = 0.3


class Sometimes:
    """A database that is away, or goes away before a commit, when a test says so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_away: Callable[[], bool] = lambda: False
        self.loses_commits = False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        if self.is_away():
            raise DatabaseUnavailable
        with self._database.transaction() as cursor:
            yield cursor
            if self.loses_commits:
                raise DatabaseUnavailable


class Downloads:
    """Stands for the threads: nothing ends before the test ends it."""

    def __init__(self) -> None:
        self.most = THREADS
        self.under_way: collections.Counter[str] = collections.Counter()
        self.begun: list[tuple[Claimed, Slot]] = []
        self._ended: list[tuple[Claimed, Outcome]] = []

    def free(self) -> int:
        return self.most - self.under_way.total()

    def begin(self, claimed: Claimed, slot: Slot) -> None:
        self.under_way[claimed.domain] += 1
        self.begun.append((claimed, slot))

    def end(self, count: int = 1, **outcome: Any) -> None:
        """End the oldest ones, all alike."""
        for claimed, slot in self.begun[:count]:
            slot.give_back()
            self._ended.append((claimed, Outcome(claimed.key, claimed.url, **outcome)))
        del self.begun[:count]

    def settled(self, wait_s: float) -> list[tuple[Claimed, Outcome]]:
        ended, self._ended = self._ended, []
        self.under_way -= collections.Counter(claimed.domain for claimed, _ in ended)
        return ended

    def withdraw(self) -> None:
        for claimed, slot in self.begun:
            slot.give_back()
            self.under_way -= collections.Counter([claimed.domain])
        self.begun.clear()

    def urls(self) -> list[str]:
        return [claimed.url for claimed, _ in self.begun]


class Space:
    full = False

    def has_room(self) -> bool:
        return not self.full


class Daemon:
    """One daemon of a node, wired around fakes for time, threads and free space."""

    def __init__(self, node: Node) -> None:
        self.clock, self.downloads, self.space = Clock(1000.0), Downloads(), Space()
        self.database = Sometimes(node.database)
        self.synced: list[str] = []
        self.disk_is_away = False
        file = Path(node.config.politeness.limits_file)
        limits = LimitsFile(file, file.with_name("last_good"), self.clock)
        self.leases = Leases(self.database, Locks(node.slots_file), LEASE_S)
        grouping = Grouping(self.database, limits, lambda: True)
        giving_up = GivingUp(self.database, node.domains, GIVE_UP_S, lambda: True)
        slots = Slots(node.slots_file)
        self.claims = Claims(
            self.database, slots, node.domains, grouping, self.leases, self.downloads, self.clock
        )
        self.dispatcher = Dispatcher(
            self.downloads,
            self.claims,
            Outcomes(self.database, self.sync),
            Housekeeping(
                self.database, node.domains, grouping, self.leases, giving_up, 7 * DAY_S, self.clock
            ),
            self.leases,
            StoragePause(self.space, self.clock),
            idle_s=0.01,
            clock=self.clock,
        )

    def sync(self, keys: Sequence[str]) -> None:
        if self.disk_is_away:
            raise StorageUnavailable("storage: silent")
        self.synced += keys

    def step(self, after_s: float = 0.0) -> bool:
        self.clock.now += after_s
        return self.dispatcher.step()


@pytest.fixture
def node(tmp_path: Path, settings: Settings) -> Iterator[Node]:
    quick = "politeness.failures=1;politeness.first_pause=100 ms;politeness.longest_pause=100 ms"
    node = new_node(tmp_path, quick, settings)
    set_limits(node, default=8)
    yield node
    node.database.close()


@pytest.fixture
def daemon(node: Node) -> Daemon:
    return Daemon(node)


def set_limits(node: Node, **limits: int) -> None:
    named = {name.replace("_", "."): number for name, number in limits.items()}
    Path(node.config.politeness.limits_file).write_text(json.dumps(named))


def post(node: Node, domain: str, count: int, first: int = 0) -> NewBatch:
    urls = [f"http://{domain}/{number}" for number in range(first, first + count)]
    batch = NewBatch("tests", time.time(), 0, (), count, 0, 0, 0)
    with node.database.transaction() as cursor:
        intake.take_in(cursor, batch, [Wanted(url, url, domain) for url in urls])
    return batch


def progress(node: Node, batch: NewBatch) -> batches.Progress:
    with node.database.transaction() as cursor:
        found = batches.progress(cursor, batch.id)
    assert found
    return found


def waiting(node: Node) -> dict[str, int]:
    """Return how much is ready in each domain."""
    with node.database.transaction() as cursor:
        cursor.execute("SELECT domain FROM prefetch_requests WHERE ready")
        return dict(collections.Counter(domain for (domain,) in cursor.fetchall()))


def test_a_batch_is_worked_off(node: Node, daemon: Daemon) -> None:
    batch = post(node, "a.example", 3)
    assert daemon.step()
    assert sorted(daemon.downloads.urls()) == [f"http://a.example/{n}" for n in range(3)]
    daemon.downloads.end(2)
    daemon.downloads.end(code="origin_reset", detail="gone")
    assert not daemon.step()
    state = progress(node, batch)
    assert (state.done, state.failed, state.waiting) == (2, 1, 0)
    assert state.finished_at
    assert not daemon.step()


def test_no_domain_gets_more_than_its_slots(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=8, a_example=2)
    post(node, "a.example", 5)
    post(node, "b.example", 1)
    daemon.step()
    assert daemon.downloads.under_way == {"a.example": 2, "b.example": 1}
    daemon.step(after_s=1.0)
    assert daemon.downloads.under_way["a.example"] == 2
    daemon.downloads.end(3)
    daemon.step()
    assert daemon.downloads.under_way == {"a.example": 2}


def test_slots_that_others_hold_are_not_there(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=1)
    domain = node.limits.current().domain_named("a.example")
    slot = Slots(node.slots_file).try_one(domain)
    assert slot
    post(node, "a.example", 1)
    assert not daemon.step()
    slot.give_back()
    assert not daemon.step(), "it was tried a moment ago"
    assert daemon.step(after_s=2 * SLOT_AGAIN_S)


def test_a_download_that_ends_gives_its_domain_a_turn_at_once(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=2)
    slot = Slots(node.slots_file).try_one(node.limits.current().domain_named("a.example"))
    assert slot
    post(node, "a.example", 5)
    for _ in range(2):  # one slot is taken, and then there is none to spare
        daemon.step()
    assert len(daemon.downloads.begun) == 1
    slot.give_back()
    daemon.downloads.end()
    daemon.step()
    assert len(daemon.downloads.begun) == 2


def test_a_slot_does_not_wait_for_the_picture_to_be_stored(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=1)
    post(node, "a.example", 2)
    daemon.step()
    (_, slot) = daemon.downloads.begun[0]
    slot.give_back()
    daemon.step(after_s=2 * SLOT_AGAIN_S)
    assert len(daemon.downloads.begun) == 2


def test_some_threads_are_kept_for_domains_that_have_none(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=100)
    post(node, "big.example", 50)
    for _ in range(3):
        daemon.step()
    assert daemon.downloads.under_way == {"big.example": THREADS - THREADS // 4}
    post(node, "small.example", 5)
    daemon.step()
    assert daemon.downloads.under_way == {"big.example": 6, "small.example": 1}
    post(node, "third.example", 5)
    daemon.step()
    assert daemon.downloads.free() == 0
    daemon.step()
    assert daemon.downloads.under_way["third.example"] == 1


def test_a_domain_that_asks_for_a_pause_gets_no_turn(node: Node, daemon: Daemon) -> None:
    error = OriginStatus("said 429", upstream_status=429, retry_after_s=600.0)
    node.domains.failed("a.example", error)
    batch = post(node, "a.example", 1)
    post(node, "b.example", 1)
    daemon.step()
    assert daemon.downloads.urls() == ["http://b.example/0"]
    assert progress(node, batch).waiting == 1


def test_a_domain_that_is_tried_again_gets_one_at_a_time(node: Node, daemon: Daemon) -> None:
    node.domains.failed("a.example", OriginReset("gone"))
    post(node, "a.example", 5)
    deadline = time.monotonic() + DEADLINE_S
    while not daemon.downloads.begun:
        assert time.monotonic() < deadline
        daemon.step(after_s=1.0)
        time.sleep(0.01)
    daemon.step(after_s=1.0)
    assert daemon.downloads.under_way == {"a.example": 1}
    node.domains.succeeded("a.example")
    daemon.step(after_s=1.0)
    assert daemon.downloads.under_way == {"a.example": 5}


def test_nothing_begins_while_the_storage_is_full(node: Node, daemon: Daemon) -> None:
    post(node, "a.example", 2)
    daemon.space.full = True
    assert not daemon.step()
    daemon.space.full = False
    assert not daemon.step(after_s=PAUSE_S - 0.1)
    assert daemon.step(after_s=0.2)
    daemon.downloads.end(2, code=StorageUnavailable.code, wait_s=0.0)
    assert not daemon.step(after_s=PROMOTE_S)
    assert not daemon.step(after_s=PROMOTE_S)
    assert daemon.step(after_s=PAUSE_S)


def test_what_a_dead_daemon_held_is_taken_over(node: Node, daemon: Daemon) -> None:
    post(node, "a.example", 2)
    other = Daemon(node)
    assert other.step()
    assert not daemon.step(after_s=2 * PROMOTE_S)
    other.downloads.withdraw()  # the kernel gives the slots of a dead process back
    other.leases.end()
    assert daemon.step(after_s=2 * PROMOTE_S)
    assert len(daemon.downloads.begun) == 2


def test_leases_last_while_the_daemon_lives(node: Node, daemon: Daemon) -> None:
    post(node, "a.example", 1)
    daemon.step()
    with node.database.transaction() as cursor:
        cursor.execute("UPDATE prefetch_requests SET next_at = now() + interval '1 s'")
    daemon.step(after_s=LEASE_S / 4)
    with node.database.transaction() as cursor:
        cursor.execute("SELECT extract(epoch FROM next_at - now()) FROM prefetch_requests")
        ((left_s,),) = cursor.fetchall()
    assert LEASE_S - 5 < left_s <= LEASE_S


def test_at_the_end_outcomes_are_written_and_the_rest_is_given_back(
    node: Node, daemon: Daemon
) -> None:
    batch = post(node, "a.example", 3)
    daemon.step()
    daemon.downloads.end()
    daemon.dispatcher.finish()
    state = progress(node, batch)
    assert (state.done, state.waiting) == (1, 2)
    assert waiting(node) == {"a.example": 2}
    other = Daemon(node)
    other.step()
    assert len(other.downloads.begun) == 2, "slots and leases are free at once"


def test_outcomes_outlive_an_outage(node: Node, daemon: Daemon) -> None:
    batch = post(node, "a.example", 1)
    daemon.step()
    daemon.downloads.end()
    daemon.database.is_away = lambda: True
    with pytest.raises(DatabaseUnavailable):
        daemon.step()
    daemon.database.is_away = lambda: False
    daemon.step()
    assert progress(node, batch).done == 1


def test_nothing_is_crossed_off_before_its_picture_lasts(node: Node, daemon: Daemon) -> None:
    batch = post(node, "a.example", 2)
    daemon.step()
    keys = [claimed.key for claimed, _ in daemon.downloads.begun]
    daemon.downloads.end()
    daemon.downloads.end(code="origin_not_found")
    daemon.disk_is_away = True
    with pytest.raises(StorageUnavailable):
        daemon.step()
    assert progress(node, batch).waiting == 2
    daemon.disk_is_away = False
    daemon.step()
    assert (progress(node, batch).done, progress(node, batch).failed) == (1, 1)
    assert daemon.synced == keys[:1]


@pytest.mark.parametrize("shared", [False, True])
def test_who_syncs(node: Node, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    if shared:  # then the threads that fetch do
        cluster = dataclasses.replace(node.config.cluster, shared_storage=True)
        node.config = dataclasses.replace(node.config, cluster=cluster)
    synced: list[Sequence[str]] = []
    monkeypatch.setattr(node.store.originals, "sync_all", synced.append)
    outcomes = wire(node, lambda name, worker: None, lambda: True)._outcomes
    outcomes.add(Outcome("k", "http://a.example/"))
    outcomes.write_down()
    assert synced == ([] if shared else [["k"]])


def test_new_limits_group_what_waits_anew(node: Node, daemon: Daemon) -> None:
    for domain in ("img.shop.example", "cdn.shop.example", "other.example"):
        post(node, domain, 3)
    daemon.space.full = True
    daemon.step()
    set_limits(node, default=8, shop_example=2)
    daemon.step(after_s=60.0)
    assert waiting(node) == {"shop.example": 6, "other.example": 3}
    daemon.space.full = False
    for _ in range(3):  # the old names, empty now, take a turn and leave the line
        daemon.step(after_s=PAUSE_S)
    assert daemon.downloads.under_way == {"shop.example": 2, "other.example": 3}


def test_limits_that_stay_cost_no_query(node: Node, daemon: Daemon) -> None:
    limits = LimitsFile(Path(node.config.politeness.limits_file), node.storage / "last_good")
    grouping = Grouping(daemon.database, limits, lambda: True)
    grouping.follow()
    daemon.database.is_away = lambda: True
    grouping.follow()


def test_an_outage_while_it_is_grouped_anew_forgets_nothing(node: Node, daemon: Daemon) -> None:
    for domain in ("img.shop.example", "cdn.shop.example"):
        post(node, domain, 1)
    set_limits(node, default=8, shop_example=2)
    calls = iter([False, False, False, True])  # away when the second domain is to be moved
    daemon.database.is_away = lambda: next(calls)
    with pytest.raises(DatabaseUnavailable):
        daemon.step()
    assert waiting(node) == {"img.shop.example": 1, "shop.example": 1}
    daemon.database.is_away = lambda: False
    daemon.step()
    assert waiting(node) == {"shop.example": 2}


def test_a_claim_that_is_not_committed_keeps_no_slot(node: Node, daemon: Daemon) -> None:
    set_limits(node, default=1)
    post(node, "a.example", 1)
    daemon.database.loses_commits = True
    with pytest.raises(DatabaseUnavailable):
        daemon.claims.begin()
    assert daemon.downloads.begun == []
    assert Slots(node.slots_file).try_one(node.limits.current().domain_named("a.example"))
    assert waiting(node) == {"a.example": 1}


# --- dead domains, and pauses that end early ------------------------------------------------------


def pause(node: Node, domain: str) -> None:
    asked = OriginStatus("said 429", upstream_status=429, retry_after_s=600.0)
    node.domains.failed(domain, asked)


def test_what_waits_for_a_dead_domain_fails(node: Node, daemon: Daemon) -> None:
    pause(node, "a.example")
    dead, alive = post(node, "a.example", 5), post(node, "b.example", 1)
    daemon.step()
    with node.database.transaction() as cursor:  # one waits for another try
        cursor.execute(
            "UPDATE prefetch_requests SET ready = false, next_at = now() + interval '1 h'"
            " WHERE url = 'http://a.example/0'"
        )
    assert progress(node, dead).waiting == 5
    deadline = time.monotonic() + DEADLINE_S
    while not progress(node, dead).finished_at:
        assert time.monotonic() < deadline
        daemon.step(after_s=TROUBLE_S)
        time.sleep(0.01)
    assert progress(node, dead).failures == {"origin_status": 5}
    with node.database.transaction() as cursor:
        details = {one.detail for one in batches.failed(cursor, dead.id, "", 9)}
    assert len(details) == 1
    assert "a.example has answered nothing useful since 20" in details.pop()
    assert progress(node, alive).waiting == 1, "it is still under way"


def test_a_pause_that_is_lifted_gives_the_domain_its_turn(node: Node, daemon: Daemon) -> None:
    pause(node, "a.example")
    post(node, "a.example", 2)
    daemon.step()
    assert not daemon.downloads.begun
    assert node.domains.resume("a.example")
    daemon.step(after_s=TROUBLE_S)
    daemon.step(after_s=TROUBLE_S)
    assert len(daemon.downloads.begun) == 2
