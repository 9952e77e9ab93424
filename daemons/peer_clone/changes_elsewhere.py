"""Drops from this node's own disk what other nodes have deleted or replaced on the storage that all share.

The database's feed tells of it.  While all of it is known, the lease (image_cloud/storage/local/lease.py) is
renewed several times a second; without it neither nginx nor the pools believe what is here.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from image_cloud.db import feed
from image_cloud.db.connect import Database
from image_cloud.db.feed import News, Position
from image_cloud.db.listen import Listener
from image_cloud.picture.headers.entity_tag import modified_ns
from image_cloud.process import json_file
from image_cloud.process.steps import GoOn
from image_cloud.storage.failures import CHECK, FETCH, RESIZE, Failures
from image_cloud.storage.local.lease import LASTS_S, Lease
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 1000
LOOK_EVERY_S = LASTS_S / 4
AGAIN_AFTER_S = 1.5
"""A network file system may show a deleted original for a second, and variants be made of it meanwhile."""
NOTE_EVERY_S = 60.0
READ_AGAIN_TRANSACTIONS = 100_000
"""So much is read again once a standby took over: it may have other transactions by the same numbers."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Up to where the feed was followed, on which timeline of the server, and when, seconds since 1970."""

    position: str
    timeline: str
    at: float


NOWHERE = Place("", "", 0.0)


@dataclasses.dataclass(frozen=True)
class Again:
    """What is to be dropped once more, at which time; `after` is the place before it."""

    at: float
    after: Position
    news: Sequence[News]


class ChangesElsewhere:
    """Follows the feed of the database that all nodes share; one step is one look.

    `note` keeps the place.  What was away for longer than `keep_s`, as deletes are kept, believes nothing.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        database: Database,
        listener: Listener,
        lease: Lease,
        note: Path,
        keep_s: float,
        go_on: GoOn,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idle_s = 0.0
        self._store = store
        self._failures = failures
        self._database = database
        self._listener = listener
        self._lease = lease
        self._note = note
        self._keep_s = keep_s
        self._go_on = go_on
        self._clock = clock
        self._noted = last = self._last()
        self._position, self._timeline = Position.parse(last.position), last.timeline
        self._ahead: set[tuple[int, int]] = set()
        self._again: collections.deque[Again] = collections.deque()

    def step(self) -> bool:
        """Drop what has changed; wait for news where that is all.  Raises DatabaseUnavailable, OSError."""
        mark, now, before = self._listener.count(), self._clock(), self._position
        news, is_all = self._read()
        for one in news:
            self._go_on()
            self._drop(one)
        if news:
            self._again.append(Again(now + AGAIN_AFTER_S, before, news))
        if is_all:
            self._lease.renew(now)
            self._save(now)
            self._listener.wait(mark, LOOK_EVERY_S)
        self._drop_again()
        return True

    def _read(self) -> tuple[list[News], bool]:
        """Return what is new, and whether that is all there is."""
        found: list[News] = []
        with self._database.transaction() as cursor:
            self._find_place(*feed.end(cursor))
            after = self._position
            while True:
                page = feed.news(cursor, after, AT_ONCE)
                found += page
                is_all = len(page) < AT_ONCE
                if is_all or page[-1].is_settled:
                    break
                after = Position(after.epoch, *page[-1].place)
        new = [one for one in found if one.place not in self._ahead]
        self._advance(found)
        return new, is_all

    def _find_place(self, end: Position, timeline: str) -> None:
        """Begin here where the changes before are unknown, and earlier where some may have been lost."""
        if self._position.epoch != end.epoch:
            log.warning("event=variants_dropped reason=%r", "unknown changes since they were made")
            self._lease.end()
            self._store.variants.remove_all()
            self._position = end
        elif timeline != self._timeline:
            log.warning("event=feed_read_again timeline=%s", timeline)
            xid = max(0, self._position.xid - READ_AGAIN_TRANSACTIONS)
            self._position = Position(end.epoch, xid)
        self._timeline = timeline

    def _advance(self, found: Sequence[News]) -> None:
        """Go on behind what no other entry can come before; remember what else was seen."""
        settled = [one.place for one in found if one.is_settled]
        if settled:
            self._position = Position(self._position.epoch, *settled[-1])
        self._ahead = {one.place for one in found if not one.is_settled}

    def _drop_again(self) -> None:
        while self._again and self._again[0].at <= self._clock():
            for one in self._again.popleft().news:
                self._drop(one)

    def _drop(self, one: News) -> None:
        store = self._store
        if one.deleted_at is not None or one.sha256 is None or one.stored_at is None:
            store.variants.remove(one.key)
            store.checks.forget(one.key)
            store.checks.forget_gone(one.key)
            self._forget(one.key, FETCH, RESIZE, CHECK)
            return
        store.variants.remove_others(one.key, modified_ns(one.stored_at, one.sha256))
        if one.checked_at is None:
            self._forget(one.key, FETCH, RESIZE, CHECK)
        store.checks.forget_gone(one.key)
        seen_at = one.checked_at or one.stored_at
        seen = store.checks.find(one.key)
        if seen and seen.at < seen_at:
            store.checks.forget(one.key)
            if one.checked_at:
                store.checks.mark(one.key, seen_at)

    def _forget(self, key: str, *kinds: str) -> None:
        for kind in kinds:
            self._failures.forget(key, kind)

    def _last(self) -> Place:
        """Return where the process before stopped; from nowhere if that is unknown or too long ago."""
        place = json_file.read(self._note, Place)
        is_known = place and self._clock() - place.at <= self._keep_s and _is_place(place.position)
        return place if place and is_known else NOWHERE

    def _save(self, now: float) -> None:
        """Note the place: what is to be dropped again comes behind it."""
        position = self._again[0].after if self._again else self._position
        place = Place(str(position), self._timeline, now)
        is_old = now - self._noted.at > NOTE_EVERY_S
        if is_old or dataclasses.replace(place, at=self._noted.at) != self._noted:
            json_file.write(self._note, place)
            self._noted = place


def _is_place(text: str) -> bool:
    try:
        Position.parse(text)
    except ValueError:
        return False
    return True
