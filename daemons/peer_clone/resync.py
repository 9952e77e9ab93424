"""The way back of a node that was away longer than deletes are kept (image_cloud/cluster/absence.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Set

from image_cloud.cluster.absence import Freshness
from image_cloud.cluster.peers import Peers
from image_cloud.db import clones, feed, whole_catalog
from image_cloud.db.connect import Database
from image_cloud.errors import ImageCloudError
from image_cloud.picture.record import Record
from image_cloud.process.steps import GoOn
from image_cloud.storage.new_file import FoundFile
from image_cloud.storage.originals import Originals
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.records import Records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 5000


class Resync:
    """Empties the catalogue when the pictures were moved aside, and settles what is left of them.

    `alive` names the peers that answer.
    """

    def __init__(
        self,
        store: Store,
        database: Database,
        peers: Peers,
        freshness: Freshness,
        alive: Callable[[], Set[str]],
        go_on: GoOn,
    ) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._freshness = freshness
        self._alive = alive
        self._go_on = go_on

    def begin(self) -> None:
        """Take the moved pictures out of the catalogue, but for tombstones; read all feeds from the start."""
        if self._freshness.has_begun():
            return
        with self._database.transaction() as cursor:
            if (
                not self._freshness.is_planned()
            ):  # else a crash came between: ask no empty catalogue
                known = [peer.name for peer in self._peers.all]
                position = self._freshness.safe_position()
                self._freshness.plan(whole_catalog.keys_behind(cursor, position, known))
            _, next_xid = feed.state(cursor)
        if not self._forget(next_xid):
            return  # it begins anew with the next process
        with self._database.transaction() as cursor:
            clones.rewind(cursor)  # last: what is still in the catalogue is not cloned
        self._freshness.begin()

    def _forget(self, next_xid: int) -> bool:
        """Take what is in the catalogue so far out of it; say whether all of it is out."""
        key: str | None = ""
        while key is not None and self._go_on():
            with self._database.transaction() as cursor:
                key = whole_catalog.forget_after(cursor, key, next_xid, ROWS_AT_ONCE)
        return key is None

    def step(self, caught_up: Set[str]) -> None:
        """End when every peer that answers was read to its end and nothing waits to be cloned."""
        alive = self._alive()
        if not alive or not alive <= caught_up:
            return
        with self._database.transaction() as cursor:
            if clones.count(cursor):
                return
        self._settle()

    def _settle(self) -> None:
        """Bring back those pictures of which no peer can have heard before this node went away."""
        kept, restored = self._freshness.kept(), 0
        for record in self._aside():
            if not self._go_on():
                return  # the next process begins anew
            if record.key in kept:
                restored += self._restore(record)
        self._freshness.finish()
        log.warning("event=resynchronised restored=%d", restored)

    def _restore(self, record: Record) -> bool:
        aside = Originals(self._freshness.aside)
        original = aside.find(record.key)
        is_known = self._store.originals.find(record.key) or self._store.tombstones.find(record.key)
        if is_known or original is None:
            return False
        try:
            with FoundFile(aside.path(original)) as file:
                self._store.place(file, record, is_private=original.is_private)
        except (ImageCloudError, OSError) as error:
            log.error("event=not_restored key=%s error=%s", record.key, error)
            return False
        commit_records(self._store, self._database, [record])
        return True

    def _aside(self) -> Iterator[Record]:
        records = Records(self._freshness.aside)
        yield from (record for _, record in records.unrecorded())
        yield from records.settled()
