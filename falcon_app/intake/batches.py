"""Intake pool: POST /fire_and_forget takes a batch, GET tells how far it is."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import falcon

from falcon_app.exchange import query_of, request_id
from image_cloud.cluster.clock import ClusterClock
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.config.sections import Resize
from image_cloud.db import prefetch_batches, prefetch_intake
from image_cloud.db.connect import Database
from image_cloud.db.prefetch_intake import NewBatch
from image_cloud.errors import BadParameter, BatchUnknown, Busy
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.prefetch.body import MAX_BYTES, Order, read_order, too_many_bytes
from image_cloud.prefetch.sorter import Sorted, Sorter
from image_cloud.request.query import Query

log = logging.getLogger(__name__)

BUSY_RETRY_S = 5.0
MOST_LISTED = 1000
READ_BYTES = 2**20


class FireAndForget:
    """/fire_and_forget.

    Reads at most `settings.max_bodies` bodies at once; more wait for their turn.
    """

    scope = "prefetch"

    def __init__(
        self,
        sorter: Sorter,
        database: Database,
        clock: ClusterClock,
        resize: Resize,
        settings: Settings,
    ) -> None:
        self._sorter = sorter
        self._database = database
        self._clock = clock
        self._resize = resize
        self._settings = settings
        self._turn = threading.BoundedSemaphore(settings.max_bodies)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a batch; 202 when PostgreSQL has it for good."""
        started = time.monotonic()
        with self._in_turn():
            order = read_order(_body(req), self._resize.thumbnail_sizes)
            self._database.check()
            found = self._sorter.sort(order)
            batch, waited = self._take_in(order, found, req.context.client.name)
        resp.status = falcon.HTTP_202
        resp.set_header("Cache-Control", "no-store")
        resp.media = {
            "batch": str(batch.id),
            "accepted": len(found.wanted) - waited,
            "already_cached": found.already_cached,
            "duplicates": found.duplicates + waited,
            "rejected": found.rejected,
        }
        log.info(
            "event=batch id=%s batch=%s client=%s urls=%d accepted=%d seconds=%.3f",
            request_id(req), batch.id, batch.client, len(order.urls), len(found.wanted) - waited,
            time.monotonic() - started,
        )  # fmt: skip

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell how far a batch is; with `list_failures` also which URLs failed."""
        query = query_of(req)
        identity = _identity(query)
        self._database.check()
        with self._database.transaction() as cursor:
            progress = prefetch_batches.progress(cursor, identity)
            if progress is None:
                raise BatchUnknown()
            answer = _shown(progress)
            if query.boolean("list_failures"):
                after = query.text("after") or ""
                if after and not KEY_PATTERN.fullmatch(after):
                    raise BadParameter("after: expected is the failed_after of an earlier answer")
                failed = prefetch_batches.failed(cursor, identity, after, MOST_LISTED)
                answer |= _listed(failed)
        resp.set_header("Cache-Control", "no-store")
        resp.media = answer

    on_head = on_get

    def _take_in(self, order: Order, found: Sorted, client: str) -> tuple[NewBatch, int]:
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


def _body(req: falcon.Request) -> bytes:
    """Read the body, whatever its Content-Type.  Raises RequestTooLarge."""
    if (req.content_length or 0) > MAX_BYTES:
        raise too_many_bytes()
    body = bytearray()
    stream = req.bounded_stream if req.content_length is not None else req.stream
    while block := stream.read(READ_BYTES):
        body += block
        if len(body) > MAX_BYTES:
            raise too_many_bytes()
    return bytes(body)


def _identity(query: Query) -> uuid.UUID:
    text = query.text("batch")
    if text is None:
        raise BadParameter("batch: missing; expected is the batch of a POST's answer")
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BatchUnknown() from None


def _shown(progress: prefetch_batches.Progress) -> dict[str, Any]:
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


def _listed(failed: list[prefetch_batches.Failed]) -> dict[str, Any]:
    """Return the failures and, while there may be more, where the next page begins."""
    rows = [{"url": one.url, "code": one.code, "detail": one.detail} for one in failed]
    more = failed[-1].key if len(failed) == MOST_LISTED else None
    return {"failed_urls": rows, "failed_after": more}
