"""Takes batches in, and tells how far they are."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from image_cloud.cluster.clock import ClusterClock
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.db import prefetch_batches, prefetch_intake
from image_cloud.db.connect import Database
from image_cloud.db.prefetch_batches import Failed, Progress
from image_cloud.db.prefetch_intake import NewBatch
from image_cloud.errors import BatchUnknown, Busy
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.prefetch.body import Body, Order
from image_cloud.prefetch.sorter import Sorted, Sorter
from image_cloud.request.parameter import Flag, Parameters, Pattern
from image_cloud.request.query import Query

log = logging.getLogger(__name__)

BUSY_RETRY_S = 5.0
MOST_LISTED = 1000


class ProgressParameters(Parameters):
    """The parameters of GET /fire_and_forget."""

    def __init__(self) -> None:
        self.batch = Pattern(
            name="batch",
            pattern=r".*",
            form="the batch of a POST's answer",
            required=True,
            meaning="the batch of a POST's answer",
        )
        self.list_failures = Flag(
            name="list_failures", meaning=f"list the URLs that failed, at most {MOST_LISTED}"
        )
        self.after = Pattern(
            name="after",
            pattern=KEY_PATTERN.pattern,
            form="the failed_after of an earlier answer",
            meaning="`failed_after` of the answer before: the next page of failures",
        )


@dataclasses.dataclass(frozen=True)
class ProgressRequest:
    """Which batch is asked for; `list_failures` wants its failures, those behind the key `after`."""

    batch: uuid.UUID
    list_failures: bool = False
    after: str = ""

    @classmethod
    def read(cls, query: Query) -> ProgressRequest:
        """Read what ProgressParameters describe.  Raises BadParameter, BatchUnknown."""
        asked = ProgressParameters()
        batch, after = _batch(asked.batch.of(query)), asked.after.of(query)
        return cls(batch, asked.list_failures.of(query), after)


class Intake:
    """Takes bodies in, at most `settings.max_bodies` at once; more wait for their turn."""

    def __init__(
        self,
        sorter: Sorter,
        database: Database,
        clock: ClusterClock,
        thumbnail_sizes: tuple[int, ...],
        settings: Settings,
    ) -> None:
        self._sorter = sorter
        self._database = database
        self._clock = clock
        self._thumbnail_sizes = thumbnail_sizes
        self._settings = settings
        self._turn = threading.BoundedSemaphore(settings.max_bodies)

    def take(self, body: Body, client: str) -> dict[str, Any]:
        """Return what became of the URLs, as JSON, when PostgreSQL has them for good.

        Raises BadRequestBody, RequestTooLarge, Busy, DatabaseUnavailable.
        """
        started = time.monotonic()
        with self._in_turn():
            order = body.order(self._thumbnail_sizes)
            self._database.check()
            found = self._sorter.sort(order)
            batch, waited = self._take_in(order, found, client)
        accepted = len(found.wanted) - waited
        log.info(
            "event=batch batch=%s client=%s urls=%d accepted=%d seconds=%.3f",
            batch.id, client, len(order.urls), accepted, time.monotonic() - started,
        )  # fmt: skip
        return {
            "batch": str(batch.id),
            "accepted": accepted,
            "already_cached": found.already_cached,
            "duplicates": found.duplicates + waited,
            "rejected": found.rejected,
        }

    def progress(self, asked: ProgressRequest) -> dict[str, Any]:
        """Return how far a batch is, as JSON.  Raises BatchUnknown, DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            progress = prefetch_batches.progress(cursor, asked.batch)
            if progress is None:
                raise BatchUnknown()
            if not asked.list_failures:
                return _shown(progress)
            failed = prefetch_batches.failed(cursor, asked.batch, asked.after, MOST_LISTED)
            return {**_shown(progress), **_listed(failed)}

    def _take_in(self, order: Order, found: Sorted, client: str) -> tuple[NewBatch, int]:
        """Return the batch, and how many of its URLs waited already."""
        batch = NewBatch(
            client=client,
            asked_at=self._clock.now(),
            priority=order.priority,
            thumbnails=order.thumbnails,
            total=len(found.wanted) + found.already_cached,
            already_cached=found.already_cached,
            duplicates=found.duplicates,
            rejected=len(found.rejected),
        )
        with self._database.transaction() as cursor:
            return batch, prefetch_intake.take_in(cursor, batch, found.wanted)

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._settings.body_wait):
            raise Busy("too many batches are coming in at once", retry_after_s=BUSY_RETRY_S)
        try:
            yield
        finally:
            self._turn.release()


def _batch(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BatchUnknown() from None


def _shown(progress: Progress) -> dict[str, Any]:
    finished = progress.finished_at
    return {
        "batch": progress.batch,
        "total": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "waiting": progress.waiting,
        "failures": progress.failures,
        "already_cached": progress.already_cached,
        "duplicates": progress.duplicates,
        "rejected": progress.rejected,
        "priority": progress.priority,
        "thumbnails": progress.thumbnails,
        "created_at": progress.created_at.isoformat(),
        "finished_at": finished.isoformat() if finished else None,
    }


def _listed(failed: list[Failed]) -> dict[str, Any]:
    """Return the failures and, while there may be more, where the next page begins."""
    rows = [{"url": one.url, "code": one.code, "detail": one.detail} for one in failed]
    more = failed[-1].key if len(failed) == MOST_LISTED else None
    return {"failed_urls": rows, "failed_after": more}
