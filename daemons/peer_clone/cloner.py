"""Works `clone_requests` off: fetches pictures from whichever peer has them, never from the origin.

One request for each; where many wait, streams take them (streamer.py).
"""

from __future__ import annotations

import logging
import threading
import time

from psycopg2.extensions import cursor as Cursor

from daemons.peer_clone.claims import Later, Leases, settle
from daemons.peer_clone.here import checks_of, found_here
from daemons.peer_clone.streams import Streams
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.db import clones
from image_cloud.db.clones import Request
from image_cloud.db.connect import Database
from image_cloud.errors import (
    Blocked,
    CorruptImage,
    DeletedMeanwhile,
    ImageCloudError,
    NotLocal,
    PeerAway,
)
from image_cloud.fetch.arrival import Delivery, Sink, take_copy
from image_cloud.metrics.definitions import CLONE_SECONDS, CLONES
from image_cloud.metrics.outcomes import timed
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.process.steps import GoOn
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
        streams: Streams,
        later: Later,
        *,
        news: threading.Event,
        go_on: GoOn,
    ) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._streams = streams
        self._later = later
        self._news = news
        self._go_on = go_on
        self._leases = Leases()

    def step(self) -> bool:
        """Clone a few pictures; say whether any was due."""
        with self._leases.held():
            return self._step()

    def wake(self) -> None:
        """End the wait for work."""
        self._news.set()

    def _step(self) -> bool:
        with self._database.transaction() as cursor, self._leases.claiming(cursor):
            requests = self._claim(cursor)
        if not requests:
            if self._news.wait(self.idle_s):
                self._news.clear()
            return True
        kept: list[tuple[Record, Request]] = []
        done: list[Record] = []
        for request in requests:
            if not self._go_on():
                break  # the next process takes the rest over
            try:
                with timed(CLONES, CLONE_SECONDS):
                    record = self._clone(request)
                done.append(request.wanted)
                kept += [(record, request)] if record else []
            except (ImageCloudError, OSError) as error:
                self._later.postpone(request, error)
        checks = checks_of(self._store, kept)
        with self._database.transaction() as cursor:
            settle(cursor, [record for record, _ in kept], checks, done)
        for record, _ in kept:
            self._store.records.settle(record)
        return True

    def _claim(self, cursor: Cursor) -> list[Request]:
        """Take what is due, but for what streams take."""
        streamed = self._streams.names()
        if not streamed:
            return clones.claim(cursor, AT_ONCE, LEASE_S)
        claimed = clones.claim_again(cursor, AT_ONCE, LEASE_S)
        for peer in self._peers.all:
            if len(claimed) < AT_ONCE and peer.name not in streamed:
                claimed += clones.claim_new(cursor, peer.name, AT_ONCE - len(claimed), LEASE_S)
        return claimed

    def _clone(self, request: Request) -> Record | None:
        """Bring one picture here; return its record, None where it is not wanted any more.

        Raises what keeps it from coming.
        """
        wanted = request.wanted
        try:
            return found_here(self._store, wanted) or self._from_peers(request)
        except (Blocked, DeletedMeanwhile):
            return None
        except NotLocal:
            if request.attempts >= MOST_TRIES_NOWHERE:
                log.warning("event=clone_given_up key=%s peer=%s", wanted.key, request.peer)
                return None
            raise

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
