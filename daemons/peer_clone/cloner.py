"""Works `clone_requests` off: fetches pictures from whichever peer has them, never from the origin."""

from __future__ import annotations

import logging
import os
import threading
import time

from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.db import catalog, clones
from image_cloud.db.clones import Request
from image_cloud.db.connect import Database
from image_cloud.errors import (
    Blocked,
    CorruptImage,
    DatabaseUnavailable,
    DeletedMeanwhile,
    ImageCloudError,
    NotLocal,
    PeerAway,
)
from image_cloud.fetch.arrival import Delivery, Sink, take_copy
from image_cloud.metrics.definitions import CLONE_SECONDS, CLONES
from image_cloud.metrics.outcomes import timed
from image_cloud.picture.record import Check, Record
from image_cloud.picture.url import Url
from image_cloud.picture.validators import NONE
from image_cloud.process.steps import GoOn
from image_cloud.storage.files import sha256_of
from image_cloud.storage.new_file import FoundFile
from image_cloud.storage.originals import Originals
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 8
LEASE_S = 900.0
MOST_TRIES_NOWHERE = (
    4  # one after the other, all peers said that they do not have it: it was deleted
)


class Cloner:
    """One of several threads; one step claims a few requests and settles them together.

    `news` is set when there may be work.
    """

    idle_s = 2.0

    def __init__(
        self,
        store: Store,
        database: Database,
        peers: Peers,
        *,
        retry_s: float,
        longest_retry_s: float,
        news: threading.Event,
        go_on: GoOn,
    ) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._retry_s = retry_s
        self._longest_retry_s = longest_retry_s
        self._news = news
        self._go_on = go_on
        self._lost_leases = False

    def step(self) -> bool:
        """Clone a few pictures; say whether any was due."""
        try:
            return self._step()
        except DatabaseUnavailable:
            self._lost_leases = True  # what was claimed would wait for its lease's end
            raise

    def wake(self) -> None:
        """End the wait for work."""
        self._news.set()

    def _step(self) -> bool:
        with self._database.transaction() as cursor:
            if self._lost_leases:
                clones.release(cursor)  # what others work at is done twice at worst, alike
            requests = clones.claim(cursor, AT_ONCE, LEASE_S)
        self._lost_leases = False
        if not requests:
            if self._news.wait(self.idle_s):
                self._news.clear()
            return True
        kept: list[Record] = []
        done: list[Record] = []
        checks: list[Check] = []
        for request in requests:
            if not self._go_on():
                break  # the next process takes the rest over
            try:
                with timed(CLONES, CLONE_SECONDS):
                    record = self._clone(request)
                done.append(request.wanted)
                kept += [record] if record else []
                checks += self._checks(record, request)
            except (ImageCloudError, OSError) as error:
                self._postpone(request, error)
        with self._database.transaction() as cursor:
            catalog.upsert(cursor, kept)
            catalog.record_peers_checks(cursor, checks)
            clones.done(cursor, done)
        for record in kept:
            self._store.records.settle(record)
        return True

    def _checks(self, record: Record | None, request: Request) -> list[Check]:
        """Note, with the picture, when it was last seen at its origin."""
        at = request.checked_at
        if record is None or at is None or not self._store.confirm(record, at, NONE):
            return []
        return [Check(record.key, record.sha256, at, at, **vars(record.validators))]

    def _clone(self, request: Request) -> Record | None:
        """Bring one picture here; return its record, None where it is not wanted any more.

        Raises what keeps it from coming.
        """
        wanted = request.wanted
        try:
            here = self._store.records.find(wanted.key)
            if here and self._store.originals.find(wanted.key):
                if here.version >= wanted.version:
                    return here
                if here.sha256 == wanted.sha256:
                    self._store.restamp(wanted)
                    return wanted
            return self._from_aside(wanted) or self._from_peers(request)
        except (Blocked, DeletedMeanwhile):
            return None
        except NotLocal:
            if request.attempts >= MOST_TRIES_NOWHERE:
                log.warning("event=clone_given_up key=%s peer=%s", wanted.key, request.peer)
                return None
            raise

    def _from_aside(self, wanted: Record) -> Record | None:
        """Take back what stands aside while this node resynchronises (image_cloud/cluster/absence.py)."""
        aside = Originals(self._store.root / "aside")
        original = aside.find(wanted.key)
        if original is None:
            return None
        path = aside.path(original)
        if path.stat().st_size != wanted.bytes or sha256_of(path) != wanted.sha256:
            return None
        with FoundFile(path) as file:
            self._store.place(file, wanted, is_private=original.is_private)
        return wanted

    def _from_peers(self, request: Request) -> Record:
        """Raises NotLocal only where every peer was asked and has none; else what went wrong."""
        candidates = self._peers.candidates(request.wanted.key, first=request.peer)
        # A peer that rests may be the one that has it.
        everyone = len(candidates) == len(self._peers.all)
        error: ImageCloudError = NotLocal() if everyone else PeerAway("not every peer answers")
        for peer in candidates:
            try:
                return self._from_peer(peer, request.wanted)
            except (NotLocal, Blocked):
                continue
            except (PeerAway, CorruptImage) as reason:
                error = reason
                log.debug("event=clone_failed peer=%s code=%s", peer.name, reason.code)
        raise error

    def _from_peer(self, peer: Peer, wanted: Record) -> Record:
        started, url = time.monotonic(), Url.parse(wanted.url)

        def deliver(sink: Sink) -> Delivery:
            def write(block: bytes) -> None:
                self._go_on()  # a transfer that makes progress does not hang
                sink.write(block)

            sent = self._peers.fetch(peer, url, write)
            stored_at = wanted.stored_at
            return Delivery(sent.sha256, stored_at, peer.name, True, sent.is_private)

        record = take_copy(self._store, wanted, deliver)
        log.info(
            "event=cloned peer=%s key=%s bytes=%d seconds=%.3f",
            peer.name, wanted.key, wanted.bytes, time.monotonic() - started,
        )  # fmt: skip
        return record

    def _postpone(self, request: Request, error: Exception) -> None:
        wait_s = min(self._retry_s * 2 ** min(request.attempts - 1, 20), self._longest_retry_s)
        reason = error.code if isinstance(error, ImageCloudError) else os.strerror(error.errno or 0)  # type: ignore[attr-defined]
        if isinstance(error, PeerAway):
            wait_s = min(wait_s, 4 * self._retry_s)  # it will be asked when it is back, not before
        with self._database.transaction() as cursor:
            clones.postpone(cursor, request.wanted, reason, wait_s)
        log.info("event=clone_postponed key=%s reason=%s", request.wanted.key, reason)
