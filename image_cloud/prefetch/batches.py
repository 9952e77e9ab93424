"""Batches as their clients see them: how far they are, cancelling them, and retrying their failures."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Any

from psycopg2.extensions import cursor as Cursor

from image_cloud.cluster.clock import ClusterClock
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches, cancelling, retrying
from image_cloud.db.prefetch.batches import Failed, Progress
from image_cloud.db.prefetch.intake import Wanted
from image_cloud.db.prefetch.retrying import Failure
from image_cloud.errors import BatchUnknown
from image_cloud.picture.url import Url
from image_cloud.politeness.limits import LimitsFile
from image_cloud.prefetch.asked import MOST_LISTED, ListRequest, ProgressRequest, Viewer
from image_cloud.prefetch.shown import shown
from image_cloud.storage.failures import FETCH, RESIZE, Failures

log = logging.getLogger(__name__)


class Batches:
    """The batches in `database`, each for its own client and for operators.

    A batch of somebody else is as unknown as one that was never there.
    """

    def __init__(
        self, database: Database, clock: ClusterClock, limits: LimitsFile, failures: Failures
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._failures = failures

    def progress(self, asked: ProgressRequest, viewer: Viewer) -> dict[str, Any]:
        """Return how far a batch is, as JSON.  Raises BatchUnknown, DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            progress = _seen(cursor, asked.batch, viewer)
            if not asked.list_failures:
                return shown(progress)
            failed = batches.failed(cursor, asked.batch, asked.after, MOST_LISTED)
            return {**shown(progress), **_listed(failed)}

    def newest(self, asked: ListRequest, viewer: Viewer) -> dict[str, Any]:
        """Return a page of batches, the newest first, as JSON.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            found = batches.newest(cursor, viewer.only, asked.before, asked.limit)
        before = str(found[-1].number) if len(found) == asked.limit else None
        return {"batches": [shown(one) for one in found], "batches_before": before}

    def cancel(self, batch: uuid.UUID, viewer: Viewer) -> dict[str, Any]:
        """Cancel what waits; return how much, as JSON.  Raises BatchUnknown, DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            _seen(cursor, batch, viewer)
            cancelled = cancelling.cancel(cursor, batch)
        log.info(
            "event=batch_cancelled batch=%s client=%s urls=%d", batch, viewer.client, cancelled
        )
        return {"batch": str(batch), "cancelled": cancelled}

    def retry(self, batch: uuid.UUID, viewer: Viewer) -> dict[str, Any]:
        """Queue the failures again; return how many, as JSON.  Raises BatchUnknown, DatabaseUnavailable.

        What the node remembers of these failures is forgotten: the origins are asked again.
        """
        with self._database.transaction() as cursor:
            _seen(cursor, batch, viewer)
            failures = retrying.take_failures(cursor, batch)
            if failures:
                self._requeue(cursor, batch, failures)
        log.info(
            "event=batch_retried batch=%s client=%s urls=%d", batch, viewer.client, len(failures)
        )
        return {"batch": str(batch), "queued": len(failures)}

    def _requeue(self, cursor: Cursor, batch: uuid.UUID, failures: list[Failure]) -> None:
        for one in failures:
            self._failures.forget(one.key, FETCH)
            self._failures.forget(one.key, RESIZE)
        wanted, codes = list(self._wanted(failures)), [one.code for one in failures]
        if not retrying.requeue(cursor, batch, wanted, codes, self._clock.now()):
            raise BatchUnknown()

    def _wanted(self, failures: Iterable[Failure]) -> Iterable[Wanted]:
        limits = self._limits.current()
        for key, url, _ in failures:
            yield Wanted(key, url, limits.domain_of(Url.parse(url)).name)


def _seen(cursor: Cursor, batch: uuid.UUID, viewer: Viewer) -> Progress:
    """Return a batch that `viewer` may see.  Raises BatchUnknown."""
    found = batches.progress(cursor, batch)
    if found is None or not (viewer.sees_all or found.client == viewer.client):
        raise BatchUnknown()
    return found


def _listed(failed: list[Failed]) -> dict[str, Any]:
    """Return the failures and, while there may be more, where the next page begins."""
    rows = [{"url": one.url, "code": one.code, "detail": one.detail} for one in failed]
    more = failed[-1].key if len(failed) == MOST_LISTED else None
    return {"failed_urls": rows, "failed_after": more}
