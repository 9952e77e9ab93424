"""Takes batches in."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from image_cloud.cluster.clock import ClusterClock
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import intake
from image_cloud.db.prefetch.intake import NewBatch
from image_cloud.errors import BadParameter, BadRequestBody, Busy, UrlForbidden
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from image_cloud.prefetch.body import Body, Order
from image_cloud.prefetch.sorter import Sorted, Sorter

log = logging.getLogger(__name__)

BUSY_RETRY_S = 5.0


class Intake:
    """Takes bodies in, at most `settings.max_bodies` at once; more wait for their turn.

    `origin` knows where callbacks may go.
    """

    def __init__(
        self,
        sorter: Sorter,
        origin: Origin,
        database: Database,
        clock: ClusterClock,
        thumbnail_sizes: tuple[int, ...],
        settings: Settings,
    ) -> None:
        self._sorter = sorter
        self._origin = origin
        self._database = database
        self._clock = clock
        self._thumbnail_sizes = thumbnail_sizes
        self._settings = settings
        self._turn = threading.BoundedSemaphore(settings.max_bodies)

    def take(self, body: Body, client: str) -> dict[str, Any]:
        """Return what became of the URLs, as JSON, when PostgreSQL has them for good.

        Raises BadRequestBody, RequestTooLarge, Busy, UrlForbidden (its callback), DatabaseUnavailable.
        """
        started = time.monotonic()
        with self._in_turn():
            order = body.order(self._thumbnail_sizes)
            callback = _callback(order.callback, self._origin) if order.callback else None
            self._database.check()
            found = self._sorter.sort(order)
            batch, waited = self._take_in(order, found, client, callback)
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

    def _take_in(
        self, order: Order, found: Sorted, client: str, callback: Url | None
    ) -> tuple[NewBatch, int]:
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
            callback=callback.text if callback else None,
            callback_host=callback.host if callback else None,
            max_age=order.max_age,
        )
        with self._database.transaction() as cursor:
            return batch, intake.take_in(cursor, batch, found.wanted)

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._settings.body_wait):
            raise Busy("too many batches are coming in at once", retry_after_s=BUSY_RETRY_S)
        try:
            yield
        finally:
            self._turn.release()


def _callback(text: str, origin: Origin) -> Url:
    """Return the URL that is to be told of the batch's end.  Raises BadRequestBody, UrlForbidden."""
    try:
        url = Url.parse(text)
        origin.check(url)
    except (BadParameter, UrlForbidden) as error:
        detail = error.detail.replace("url:", "callback:", 1)
        raise (UrlForbidden if isinstance(error, UrlForbidden) else BadRequestBody)(
            detail
        ) from None
    return url
