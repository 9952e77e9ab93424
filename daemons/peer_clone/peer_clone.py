"""The cloning daemon: follows every peer's feed and fetches what this node lacks.

Run it with `python -m daemons.peer_clone`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from daemons import loop
from daemons.peer_clone.cloner import Cloner
from daemons.peer_clone.follower import Follower
from daemons.peer_clone.rebalance import Rebalance
from daemons.peer_clone.rebuild import Rebuild
from daemons.peer_clone.resync import Resync
from image_cloud.db import clones, feed
from image_cloud.node import Node

log = logging.getLogger(__name__)


class PeerClone:
    """Threads around one queue: a follower per peer, clone workers, the watch over the database.

    Nothing runs before the first step.
    """

    idle_s = 0.25

    def __init__(self, node: Node) -> None:
        self._config = node.config
        self._store = node.store
        self._database = node.database
        self._peers = node.peers
        self._deletes = node.deletes
        self._clock = node.clock
        self._freshness = node.freshness
        self._states = node.peer_states
        self._work = threading.Event()
        self._caught_up: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._resync = Resync(
            self._store, self._database, self._peers, self._freshness, self._alive
        )
        rebuild = Rebuild(self._store, self._database, node.feed_guard, self._clock)
        self._rebuild = None if node.config.cluster.shared_storage else rebuild

    def step(self) -> bool:
        """Start what is not started, then look after the whole."""
        if not self._threads:
            self._prepare()
            self._start()
        if not self._config.cluster.shared_storage and self._peers.all:
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
            clones.release(cursor)
            clones.keep_only(cursor, [peer.name for peer in self._peers.all])
            moved = feed.placed_anew(cursor, self._peers.placement.fingerprint)
            if moved or self._freshness.is_resynchronising():
                clones.rewind(cursor)

    def _start(self) -> None:
        cluster = self._config.cluster
        daemons: list[loop.Daemon] = [self._rebuild] if self._rebuild else []
        daemons += [self._follower(peer.name) for peer in self._peers.all]
        if self._peers.all:
            daemons += [self._cloner() for _ in range(cluster.workers)]
        if self._peers.placement.is_limited:
            keep_s = cluster.drop_after
            daemons.append(Rebalance(self._store, self._database, self._peers, grace_s=keep_s))
        for daemon in daemons:
            name = type(daemon).__name__.lower()
            run = threading.Thread(
                target=loop.run, args=(daemon, self._stop), name=name, daemon=True
            )
            self._threads.append(run)
            run.start()
        self._threads.append(threading.current_thread())

    def _follower(self, name: str) -> Follower:
        peer = next(peer for peer in self._peers.all if peer.name == name)
        return Follower(
            peer,
            self._peers,
            self._store,
            self._database,
            self._deletes,
            self._clock,
            self._states,
            poll_s=self._config.cluster.poll,
            on_work=self._work.set,
            on_caught_up=self._caught_up.add,
        )

    def _cloner(self) -> Cloner:
        cluster = self._config.cluster
        return Cloner(
            self._store,
            self._database,
            self._peers,
            retry_s=cluster.retry,
            longest_retry_s=cluster.longest_retry,
            rest=self._rest,
        )

    def _rest(self, seconds: float) -> None:
        """Wait for a follower's call, or until requests may be due again."""
        if self._work.wait(seconds):
            self._work.clear()

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

    def _alive(self) -> set[str]:
        return {state.name for state in self._states.current().values() if state.alive}

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


def create(node: Node) -> PeerClone:
    """Wire the cloning daemon of this node."""
    return PeerClone(node)
