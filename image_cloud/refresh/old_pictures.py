"""Old pictures go into the prefetch queue: those that somebody asks for, then all others, within bounds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from image_cloud.cluster.peer_states import PeerStates
from image_cloud.cluster.placement import Placement
from image_cloud.config.sections import Refresh as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import refreshing
from image_cloud.db.prefetch.intake import Wanted
from image_cloud.db.prefetch.refreshing import Place
from image_cloud.errors import ImageCloudError
from image_cloud.origin import Origin
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.picture.record import Check, Record
from image_cloud.picture.url import Url
from image_cloud.politeness.limits import LimitsFile
from image_cloud.storage.failures import CHECK, Failures
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

ASKED_FOR, UNASKED = -1001, -1002
"""Their priorities: below those that a batch can have."""
AT_ONCE, MOST_WAITING = 500, 10_000
SHORTEST_IDLE_S, LONGEST_IDLE_S = 0.5, 60.0


class OldPictures:
    """Queues pictures of `store` that are older than the settings say.

    `origin` knows what may be fetched, `limits` the domains.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        database: Database,
        origin: Origin,
        limits: LimitsFile,
        settings: Settings,
    ) -> None:
        self._store = store
        self._failures = failures
        self._database = database
        self._origin = origin
        self._limits = limits
        self._settings = settings

    def asked_for(self, keys: Iterable[str]) -> int:
        """Queue those of the pictures, just sent, that are old; return how many.

        Raises DatabaseUnavailable.
        """
        found = (self._store.records.find(key) for key in keys if KEY_PATTERN.fullmatch(key))
        return self.queue([record for record in found if record], ASKED_FOR)

    def queue(self, records: Sequence[Record], priority: int) -> int:
        """Queue those that are old, are here, and whose last check did not just fail; return how many."""
        after_s = self._settings.after
        wanted = [self._wanted(one) for one in records if after_s and self._is_due(one)]
        found = [one for one in wanted if one]
        if found:
            with self._database.transaction() as cursor:
                refreshing.enqueue(cursor, found, priority, after_s)
        return len(found)

    def _is_due(self, record: Record) -> bool:
        key = record.key
        if not self._store.is_over(key, self._settings.after, self._settings.least_age):
            return False
        is_here = self._store.originals.find(key) is not None
        return is_here and self._failures.recall(key, CHECK) is None

    def _wanted(self, record: Record) -> Wanted | None:
        try:
            url = Url.parse(record.url)
            self._origin.check(url)
        except ImageCloudError:
            return None  # the settings forbid it by now
        return Wanted(record.key, record.url, self._limits.current().domain_of(url).name)


class Walk:
    """Goes over the catalogue by age, some rows a step, and queues those that this node has to see to.

    Each picture is one live node's business: the one that bids most for it.
    """

    def __init__(
        self,
        old: OldPictures,
        store: Store,
        database: Database,
        placement: Placement,
        states: PeerStates,
        after_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idle_s = min(max(after_s / 10, SHORTEST_IDLE_S), LONGEST_IDLE_S)
        self._old = old
        self._store = store
        self._database = database
        self._placement = placement
        self._states = states
        self._after_s = after_s
        self._clock = clock
        self._place = Place()

    def step(self) -> bool:
        """Queue some; say whether there are more.  Raises DatabaseUnavailable."""
        now = self._clock()
        with self._database.transaction() as cursor:
            if refreshing.count(cursor) >= MOST_WAITING:
                return False
            before = now - self._after_s
            records, behind = refreshing.old_pictures(cursor, self._place, before, AT_ONCE)
        alive = {name for name, one in self._states.read().items() if one.is_alive(now)}
        ours = [one for one in records if self._placement.sees_to(one.key, alive)]
        self._catch_up(ours)
        queued = self._old.queue(ours, UNASKED)
        if queued:
            log.info("event=old_pictures queued=%d of=%d", queued, len(records))
        self._place = behind or Place()
        return behind is not None

    def _catch_up(self, records: Sequence[Record]) -> None:
        """Tell the database of checks that it missed."""
        found = [self._check(one) for one in records]
        missed = [one for one in found if one]
        if missed:
            with self._database.transaction() as cursor:
                catalog.record_checks(cursor, missed, 0.0)

    def _check(self, record: Record) -> Check | None:
        seen = self._store.checks.find(record.key)
        if not (seen and seen.by_check) or seen.at < self._clock() - self._after_s:
            return None
        told: dict[str, Any] = vars(record.validators)
        return Check(record.key, record.sha256, seen.at, seen.at, **told)
