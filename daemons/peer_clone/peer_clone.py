"""The cloning daemon: follows every peer's feed and fetches what this node lacks.

Run it with `python -m daemons.peer_clone`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from daemons.loop import Runner
from daemons.peer_clone.changes_elsewhere import ChangesElsewhere
from daemons.peer_clone.claims import Later
from daemons.peer_clone.cloner import Cloner
from daemons.peer_clone.follower import Follower
from daemons.peer_clone.rebalance import Rebalance
from daemons.peer_clone.rebuild import Rebuild
from daemons.peer_clone.resync import Resync
from daemons.peer_clone.streamer import Streamer
from daemons.peer_clone.streams import Streams
from image_cloud.cluster.absence import DAY_S, Freshness
from image_cloud.cluster.peer_states import PeerStates
from image_cloud.cluster.peers import Peers
from image_cloud.db import clones, feed
from image_cloud.db.connect import Database
from image_cloud.node import Node
from image_cloud.process.steps import Worker

log = logging.getLogger(__name__)


class PeerClone:
    """Looks after what the other threads do: the contact with the peers, and a resynchronisation.

    The first step prepares the database and then starts `jobs`, by the names of their threads.  `caught_up`
    holds the peers whose feeds were read to their ends.  Without `rebuild` the database is others', too.
    """

    idle_s = 0.25

    def __init__(
        self,
        database: Database,
        peers: Peers,
        freshness: Freshness,
        states: PeerStates,
        resync: Resync,
        rebuild: Rebuild | None,
        *,
        jobs: Mapping[str, Worker],
        start: Callable[[str, Worker], None],
        caught_up: set[str],
    ) -> None:
        self._database = database
        self._peers = peers
        self._freshness = freshness
        self._states = states
        self._resync = resync
        self._rebuild = rebuild
        self._jobs = jobs
        self._start = start
        self._caught_up = caught_up
        self._has_started = False

    def step(self) -> bool:
        """Start what is not started, then look after the whole."""
        if not self._has_started:
            self._prepare()
            for name, job in self._jobs.items():
                self._start(name, job)
            self._has_started = True
        if self._peers.all:
            self._look_after_contact()
        return False

    def _prepare(self) -> None:
        """Take over from the process before: its leases, its cursors, its peers."""
        if self._rebuild:
            self._rebuild.step()
        if self._peers.all:
            self._freshness.ensure()
        if self._freshness.is_resynchronising():
            self._resync.begin()
        with self._database.transaction() as cursor:
            clones.alone(cursor)
            clones.release(cursor)
            clones.keep_only(cursor, [peer.name for peer in self._peers.all])
            moved = feed.placed_anew(cursor, self._peers.placement.fingerprint)
            if moved or self._freshness.is_resynchronising():
                clones.rewind(cursor)

    def _look_after_contact(self) -> None:
        """Note that deletes are known up to now; after too long a silence, doubt all that is here."""
        if self._caught_up:
            if self._freshness.ensure():
                self._resync.begin()
                self._caught_up.clear()
            else:
                self._freshness.contact(self._safe_position())
        if self._freshness.is_resynchronising():
            self._resync.step(self._caught_up)

    def _safe_position(self) -> str:
        """Return up to where in this node's feed others have cloned everything."""
        states = self._states.current().values()
        return safest(
            [state.has_of_us for state in states],
            all_needed=self._peers.placement.is_limited,
            peers=len(self._peers.all),
        )


def safest(cursors: Sequence[str], *, all_needed: bool, peers: int) -> str:
    """Return the furthest of `cursors`; the nearest where each peer keeps only a share."""
    positions = [feed.Position.parse(cursor) for cursor in cursors if cursor]
    if not positions or (all_needed and len(positions) < peers):
        return ""
    order = sorted(positions, key=lambda position: (position.xid, position.change))
    return str(order[0] if all_needed else order[-1])


def create(node: Node, runner: Runner) -> PeerClone:
    """Wire the cloning daemon of this node."""
    caught_up, news, streams = set[str](), News(), Streams()
    rebuild = Rebuild(node.store, node.database, node.feed_guard, node.clock, runner.go_on)
    own_rebuild = None if node.config.cluster.shared_storage else rebuild
    jobs: dict[str, Worker] = {"rebuild": own_rebuild} if own_rebuild else {}
    for peer in node.peers.all:
        jobs[f"follower-{peer.name}"] = Follower(
            peer, node.peers, node.store, node.database, node.deletes, node.brake, node.clock,
            node.peer_states,
            poll_s=node.config.cluster.poll, on_queue=streams.expect, on_work=news.tell,
            on_caught_up=caught_up.add, go_on=runner.go_on,
        )  # fmt: skip
    if node.peers.all:
        jobs |= _cloning(node, runner, news, streams)
    if node.lease:
        node.listener.start()
        jobs["changes-elsewhere"] = ChangesElsewhere(
            node.store, node.failures, node.database, node.listener, node.lease,
            node.variants_note, node.config.cluster.tombstone_days * DAY_S, runner.go_on,
        )  # fmt: skip
    if node.peers.placement.is_limited:
        jobs["rebalance"] = Rebalance(
            node.store, node.database, node.peers,
            grace_s=node.config.cluster.drop_after, go_on=runner.go_on,
        )  # fmt: skip
    resync = Resync(
        node.store, node.database, node.peers, node.freshness, node.peer_states.alive, runner.go_on
    )
    return PeerClone(
        node.database, node.peers, node.freshness, node.peer_states, resync, own_rebuild,
        jobs=jobs, start=runner.start, caught_up=caught_up,
    )  # fmt: skip


class News:
    """Tells whoever waits for work that there is some."""

    def __init__(self) -> None:
        self._events: list[threading.Event] = []

    def event(self) -> threading.Event:
        """Return one more event that `tell` sets."""
        self._events.append(threading.Event())
        return self._events[-1]

    def tell(self) -> None:
        """Set them all."""
        for event in self._events:
            event.set()


def _cloning(node: Node, runner: Runner, news: News, streams: Streams) -> dict[str, Worker]:
    """Return what works clone requests off: many at once, and one by one."""
    cluster, event = node.config.cluster, news.event()
    later = Later(node.database, cluster.retry, cluster.longest_retry)
    jobs: dict[str, Worker] = {
        f"streamer-{peer.name}": Streamer(
            peer, node.peers, node.store, node.database, streams, later,
            most_bytes=cluster.max_bytes, news=news.event(), go_on=runner.go_on,
        )
        for peer in node.peers.all
    }  # fmt: skip
    for number in range(1, cluster.workers + 1):
        jobs[f"cloner-{number}"] = Cloner(
            node.store, node.database, node.peers, streams, later, news=event, go_on=runner.go_on
        )
    return jobs
