"""Asks the origin of one picture whether it has changed, one check per URL at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable

from image_cloud.cluster.clock import ClusterClock
from image_cloud.config.sections import Refresh as Settings
from image_cloud.errors import (
    Blocked,
    DeletedMeanwhile,
    ImageCloudError,
    OriginNotFound,
    StorageUnavailable,
    Unavailable,
)
from image_cloud.fetch.flights import Flights
from image_cloud.fetch.load import Cache, Unchanged
from image_cloud.fetch.purpose import VISITOR, Keep, Purpose
from image_cloud.picture.record import Check, Record
from image_cloud.picture.url import Url
from image_cloud.politeness.gate import Gate
from image_cloud.refresh.gone import GonePictures
from image_cloud.request.steps import PEER
from image_cloud.storage.failures import CHECK, FETCH, RESIZE, Failures
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

AGAIN_AFTER = 0.1
"""A check that failed is due once more, where nobody asks for it, after this share of `[refresh] after`."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What came of looking at a picture.

    `is_asked`: the origin has just answered.  `error` is why the old picture has to do.
    """

    is_asked: bool = False
    is_changed: bool = False
    error: ImageCloudError | None = None


YOUNG, UNCHANGED, CHANGED = Look(), Look(is_asked=True), Look(is_asked=True, is_changed=True)


class Refresher:
    """Has pictures of `store` compared with their origins, through `cache` and `gate`.

    `tell` hears of each check.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        cache: Cache,
        flights: Flights[Look],
        gate: Gate,
        gone: GonePictures,
        clock: ClusterClock,
        tell: Callable[[Check], object],
        settings: Settings,
    ) -> None:
        self._store = store
        self._failures = failures
        self._cache = cache
        self._flights = flights
        self._gate = gate
        self._gone = gone
        self._clock = clock
        self._tell = tell
        self._settings = settings

    def look(self, url: Url, max_age_s: float, purpose: Purpose = VISITOR) -> Look:
        """See to it that the picture, if it is here, was seen at its origin within `max_age_s`.

        Where that fails the old one stays, and the error is returned.  Raises Blocked and DeletedMeanwhile.
        """

        def check() -> Look:
            return self._check(url, purpose) if self._is_due(url.key, max_age_s) else YOUNG

        try:
            if not self._is_over(url.key, max_age_s):
                return YOUNG
        except StorageUnavailable:  # what is here cannot be replaced now
            return YOUNG
        try:
            self._failures.check(url.key, CHECK)
            return self._run(url, check, purpose)
        except (Blocked, DeletedMeanwhile):
            raise
        except ImageCloudError as error:
            return Look(error=error)

    def refresh(self, url: Url) -> tuple[Look, Record]:
        """Ask the origin now, whatever is remembered; fetch a picture that is not here.

        Raises what the origin's answer raises: the old picture stays then.
        """
        self._forget_failures(url.key, CHECK, FETCH)
        look = CHANGED
        if self._store.originals.find(url.key) or self._cache.load(url).source == PEER:
            look = self._run(url, lambda: self._check(url, VISITOR), VISITOR)
        record = self._store.records.find(url.key)
        if record is None:
            raise StorageUnavailable("storage: the picture could not be kept")
        return look, record

    def _run(self, url: Url, check: Callable[[], Look], purpose: Purpose) -> Look:
        patience_s = None if purpose.waits_for_others else 0.0
        with self._gate.place(url) if purpose.is_urgent else contextlib.nullcontext():
            return self._flights.run(url.key, check, patience_s)

    def _is_due(self, key: str, max_age_s: float) -> bool:
        """Say so once more: somebody else may have asked meanwhile.  Raises what that one got."""
        self._failures.check(key, CHECK)
        return self._is_over(key, max_age_s)

    def _is_over(self, key: str, max_age_s: float) -> bool:
        return self._store.is_over(key, max_age_s, self._settings.least_age)

    def _check(self, url: Url, purpose: Purpose) -> Look:
        """Ask, and note what comes of it.  Raises the error of the origin, the picture or the node."""
        known = self._store.records.find(url.key)
        if known is None or self._store.originals.find(url.key) is None:
            return YOUNG
        stored_at = self._newer_than(known)
        purpose = dataclasses.replace(purpose, keep=Keep.LASTS)
        try:
            self._cache.load_changed(url, known, purpose, stored_at)
        except Unchanged as same:
            return self._unchanged(url, known, same)
        except (Blocked, DeletedMeanwhile, Unavailable):
            raise
        except ImageCloudError as error:
            self._failed(url, known, error)
            raise
        self._forget_failures(url.key, CHECK, FETCH, RESIZE)
        self._store.checks.mark(url.key, max(time.time(), stored_at))
        log.info("event=refreshed key=%s changed=True", url.key)
        return CHANGED

    def _newer_than(self, known: Record) -> float:
        """Return when a changed picture counts as stored: a later second than `known` and any delete.

        That time has come when this returns: a delete during the check is later.
        """
        earliest = self._store.tombstones.earliest(known.key)
        after = max(earliest, math.floor(known.stored_at) + 1.0)
        self._clock.wait(after)
        return round(max(self._clock.now(), after), 6)

    def _unchanged(self, url: Url, known: Record, same: Unchanged) -> Look:
        now = time.time()
        record = self._store.confirm(known, now, same.validators)
        self._forget_failures(url.key, CHECK, FETCH)
        if record is None and self._store.originals.find(url.key):
            return CHANGED  # by a newer store of another node
        if record is None:
            raise DeletedMeanwhile("deleted while its origin was asked", retry_after_s=1.0)
        self._tell(_check_of(record, now, now))
        log.info("event=refreshed key=%s changed=False", url.key)
        return UNCHANGED

    def _failed(self, url: Url, known: Record, error: ImageCloudError) -> None:
        """Remember a failed check, apart from failed downloads, and for how long."""
        self._failures.remember(url.key, error, CHECK)
        gone = 0
        if isinstance(error, OriginNotFound):
            gone = self._gone.count(url, error)
        else:
            self._store.checks.forget_gone(url.key)
        again_at = time.time() - self._settings.after * (1 - AGAIN_AFTER)
        self._tell(_check_of(known, None, again_at, gone))
        log.info("event=check_failed key=%s code=%s gone=%d", url.key, error.code, gone)

    def _forget_failures(self, key: str, *kinds: str) -> None:
        for kind in kinds:
            self._failures.forget(key, kind)


def _check_of(record: Record, at: float | None, asked_at: float, gone: int = 0) -> Check:
    told = record.validators
    return Check(record.key, record.sha256, at, asked_at, gone, **vars(told))
