"""Follows the change feed of one peer: queues what this node lacks, applies deletes."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

from image_cloud.cluster.brake import Brake
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.deletes import Deletes
from image_cloud.cluster.heard import (
    Heard,
    check_of,
    read_change,
    read_page,
    record_of,
    tombstone_of,
)
from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.db import catalog, clones
from image_cloud.db.connect import Database
from image_cloud.db.feed import Change
from image_cloud.errors import ImageCloudError, PeerAway
from image_cloud.picture.record import Check
from image_cloud.process.steps import GoOn
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

LIMIT = 1000
PROBE_S = 0.5
STOPPED_S = 5.0


class Follower:
    """One peer's feed; one step is one answer of it, and the cursor moves with what came of it.

    Calls `on_queue` with how many requests it queues, before others see them, `on_work` when they do, and
    `on_caught_up` when the feed was read to its end.
    """

    def __init__(
        self,
        peer: Peer,
        peers: Peers,
        store: Store,
        database: Database,
        deletes: Deletes,
        brake: Brake,
        clock: ClusterClock,
        states: PeerStates,
        *,
        poll_s: float,
        on_queue: Callable[[str, int], None],
        on_work: Callable[[], None],
        on_caught_up: Callable[[str], None],
        go_on: GoOn,
    ) -> None:
        self._peer = peer
        self._peers = peers
        self._store = store
        self._database = database
        self._deletes = deletes
        self._brake = brake
        self.idle_s = PROBE_S
        self._clock = clock
        self._states = states
        self._poll_s = poll_s
        self._on_queue = on_queue
        self._on_work = on_work
        self._on_caught_up = on_caught_up
        self._go_on = go_on
        self._refused = self._stopped = ""
        self._state = states.last(peer.name) or PeerState(peer.name, peer.url)
        self._state = dataclasses.replace(self._state, url=peer.url, alive=False)

    def wake(self) -> None:
        """End the wait for news, for good."""
        self._peers.end_polls()

    def step(self) -> bool:
        """Read one part of the feed, waiting for news; say whether the next may follow at once."""
        began = time.monotonic()
        with self._database.transaction() as cursor:
            position = clones.cursor_of(cursor, self._peer.name)
        try:
            answer = self._peers.changes(self._peer, position, LIMIT, self._poll_s)
            heard, rows = read_page(answer)
        except (PeerAway, ValueError) as error:
            if self._go_on():  # else it was us who broke off
                self._lose(error)
            return False
        self._hear(heard)
        changes = self._read(rows)
        if self._is_stopped(changes):
            return False
        self._apply(changes, position, heard)
        # A peer with too many followers answers at once, news or not: that must not spin.
        return bool(rows) or time.monotonic() - began >= PROBE_S

    def _is_stopped(self, changes: list[Change]) -> bool:
        """Say whether these changes delete more pictures that are here than one feed may."""
        deletes = sum(
            one.deleted_at is not None and self._store.originals.find(one.key) is not None
            for one in changes
        )
        stopped = ""
        if not self._brake.passes(self._peer.name, deletes):
            most = self._brake.most_per_hour
            stopped = f"its feed is stopped: it deletes more than {most} pictures an hour here"
        if stopped and not self._stopped:
            log.error("event=deletes_stopped peer=%s next=%d", self._peer.name, deletes)
        if stopped != self._stopped:
            self._stopped = stopped
            self._show()
        self.idle_s = STOPPED_S if stopped else PROBE_S
        return bool(stopped)

    def _show(self) -> None:
        self._state = dataclasses.replace(
            self._state, error=self._stopped or self._refused, is_stopped=bool(self._stopped)
        )
        self._states.update(self._state)

    def _apply(self, changes: list[Change], position: str, heard: Heard) -> None:
        tombstones = [tombstone_of(change) for change in changes if change.deleted_at is not None]
        for tombstone in tombstones:
            self._deletes.bury(tombstone)
        checks = self._confirm(changes)
        stored = [change for change in changes if self._is_wanted(change)]
        caught_up = not heard.more
        with self._database.transaction() as cursor:
            clones.alone(cursor)
            catalog.bury(cursor, tombstones, self._clock.now())
            catalog.record_peers_checks(cursor, checks)
            clones.add(cursor, stored, self._peer.name)
            self._on_queue(self._peer.name, len(stored))
            clones.save_cursor(
                cursor, self._peer.name, self._peer.url, heard.cursor,
                heard.backlog, caught_up=caught_up, before=position,
            )  # fmt: skip
        for tombstone in tombstones:
            self._store.tombstones.settle(tombstone)
        if stored:
            self._on_work()
        if caught_up:
            self._on_caught_up(self._peer.name)

    def _confirm(self, changes: list[Change]) -> list[Check]:
        """Note the peer's checks of pictures that are here: this node need not ask their origins."""
        confirmed = []
        for change in changes:
            check = check_of(change)
            if check and check.checked_at:
                told = record_of(change, self._peer.name)
                if self._store.confirm(told, check.checked_at, told.validators):
                    confirmed.append(check)
        return confirmed

    def _read(self, rows: list[Any]) -> list[Change]:
        """Return the sound rows; what cannot be is refused, and shown with the peer's state."""
        changes = []
        for row in rows:
            try:
                changes.append(read_change(row, time.time()))
            except ValueError as error:
                self._refuse(row, str(error))
        return changes

    def _refuse(self, row: Any, reason: str) -> None:
        key = row.get("key") if isinstance(row, dict) else None
        log.warning(
            "event=change_refused peer=%s key=%.66r reason=%r", self._peer.name, key, reason
        )
        self._refused = f"a change was refused: {reason}"
        self._show()

    def _is_wanted(self, change: Change) -> bool:
        return change.deleted_at is None and self._peers.placement.owns(change.key)

    def _hear(self, heard: Heard) -> None:
        self._clock.hear(self._peer.name, heard.now)
        if not self._state.alive:
            log.info("event=peer_alive peer=%s", self._peer.name)
            with self._database.transaction() as cursor:
                clones.alone(cursor)
                clones.wake(cursor)
        has_of_us = heard.read.get(self._peers.placement.own, "")
        self._state = dataclasses.replace(
            self._state,
            alive=True,
            last_seen=time.time(),
            backlog=heard.backlog,
            accepts_deletes=heard.accepts_deletes,
            has_of_us=self._state.has_of_us if heard.backlog else has_of_us,
            held_s=heard.held.seconds,
            error=self._stopped or self._refused,
        )
        self._states.update(self._state)

    def _lose(self, error: Exception) -> None:
        detail = error.detail if isinstance(error, ImageCloudError) else "malformed response"
        if self._state.alive or self._state.error != detail:
            log.warning("event=peer_away peer=%s reason=%r", self._peer.name, detail)
        self._state = dataclasses.replace(self._state, alive=False, error=detail)
        self._states.update(self._state)
