"""Intake pool: POST /fire_and_forget takes a batch, GET tells how far it is."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import falcon

from falcon_app.exchange import query_of, request_id
from image_cloud import urls
from image_cloud.batches import MAX_BYTES, Order, read_order, too_many_bytes
from image_cloud.cluster_clock import ClusterClock
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.config.sections import Resize
from image_cloud.db import prefetch_batches, prefetch_intake
from image_cloud.db.connect import Database
from image_cloud.db.prefetch_intake import NewBatch, Wanted
from image_cloud.disk import Store
from image_cloud.errors import BadParameter, BatchUnknown, Busy, ImageCloudError
from image_cloud.keys import KEY_PATTERN, key_of
from image_cloud.limits import LimitsFile
from image_cloud.origin import Origin
from image_cloud.params import thumbnail_recipe
from image_cloud.query import Query
from image_cloud.urls import Url

log = logging.getLogger(__name__)

BUSY_RETRY_S = 5.0
MOST_LISTED = 1000
READ_BYTES = 2**20


@dataclasses.dataclass
class Sorted:
    """The URLs of one call, each in one of these."""

    wanted: list[Wanted] = dataclasses.field(default_factory=list)
    rejected: list[dict[str, str]] = dataclasses.field(default_factory=list)
    already_cached: int = 0
    duplicates: int = 0


class Sorter:
    """Says of each URL whether it must be fetched, is there already, or may not be."""

    def __init__(self, store: Store, origin: Origin, limits: LimitsFile, settings: Resize) -> None:
        """Look into `store`; `origin` knows what may be fetched."""
        self._store = store
        self._origin = origin
        self._limits = limits
        self._settings = settings

    def sort(self, order: Order) -> Sorted:
        """Go over all URLs of `order`."""
        found = Sorted()
        unique = dict.fromkeys(order.urls)
        found.duplicates = len(order.urls) - len(unique)
        names = [thumbnail_recipe(size, self._settings).name for size in order.thumbnails]
        domain_of = functools.cache(self._domain_name)
        for url in unique:
            try:
                parsed = urls.parse(url)
                domain = domain_of(parsed.host, parsed.port)
            except ImageCloudError as error:
                found.rejected.append({"url": url, "code": error.code, "detail": error.detail})
                continue
            key = key_of(url)
            if self._is_there(key, names):
                found.already_cached += 1
            else:
                found.wanted.append(Wanted(key, url, domain))
        return found

    def _domain_name(self, host: str, port: int) -> str:
        """Return the name of the domain.  Raises UrlForbidden; neither looks at the rest of a URL."""
        url = Url("", "http", host, port, "/")
        self._origin.check_parsed(url)
        return self._limits.current().domain_of(url).name

    def _is_there(self, key: str, names: list[str]) -> bool:
        if self._store.original(key) is None:
            return False
        return all(self._store.has_variant(key, name) for name in names)


class Prefetch:
    """/fire_and_forget."""

    scope = "prefetch"

    def __init__(
        self,
        sorter: Sorter,
        database: Database,
        clock: ClusterClock,
        resize: Resize,
        settings: Settings,
    ) -> None:
        """Read at most `settings.max_bodies` bodies at once; more wait for their turn."""
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
