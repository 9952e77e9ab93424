"""With `replicas` limited: drops copies that belong elsewhere, once their owners have them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from daemons.peer_clone.held import Held
from image_cloud.cluster.peers import Peers
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.picture.record import Record
from image_cloud.process.steps import GoOn
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 100
PAUSE_S = 30.0


class Rebalance:
    """Walks the catalogue in the order of keys; one step looks at a few rows.

    Asks `peers` before it drops anything, and drops only what is older than `grace_s`: a copy
    just fetched for a client is likely to be asked for again.
    """

    idle_s = 1.0

    def __init__(
        self,
        store: Store,
        database: Database,
        peers: Peers,
        *,
        grace_s: float,
        go_on: GoOn,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._clock = clock
        self._grace_s = grace_s
        self._go_on = go_on
        self._key = ""
        self._next_round = 0.0

    def step(self) -> bool:
        """Look at the next rows; say whether there may be more at once."""
        if self._clock() < self._next_round:
            return False
        with self._database.transaction() as cursor:
            rows = catalog.after(cursor, self._key, AT_ONCE)
        strangers = [record for record in rows if self._is_strange(record)]
        held = Held(self._peers, strangers)
        for record in strangers:
            if not self._go_on():
                return False
            if held.by_owners(record):
                self._drop(record)
        self._key = rows[-1].key if len(rows) == AT_ONCE else ""
        if not self._key:
            self._next_round = self._clock() + min(PAUSE_S, max(1.0, self._grace_s))
        return bool(self._key)

    def _is_strange(self, record: Record) -> bool:
        """Say whether a copy belongs elsewhere, and has been here for long enough."""
        if self._peers.placement.owns(record.key):
            return False
        return self._clock() - self._store.originals.placed_at(record.key) >= self._grace_s

    def _drop(self, record: Record) -> None:
        self._store.drop(record)
        with self._database.transaction() as cursor:
            catalog.forget(cursor, [record])
        log.info("event=dropped key=%s", record.key)
