"""Settles many clone requests with one stream from a peer (image_cloud/bulk), while many wait.

What a stream does not bring is left to cloner.py.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable

from daemons.peer_clone.claims import Later, Leases
from daemons.peer_clone.streams import LEAST, Streams
from daemons.peer_clone.transfer import UNTRIED, Transfer
from image_cloud.bulk.receiving import Samples
from image_cloud.bulk.request import MOST_KEYS
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.db import clones
from image_cloud.db.clones import Request
from image_cloud.db.connect import Database
from image_cloud.errors import Busy, PeerAway, StorageUnavailable
from image_cloud.process.steps import GoOn
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 10**6
LEASE_S = 1200.0
NO_STREAMS_S, BUSY_S = 600.0, 1.0


class Streamer:
    """Streams from one peer; one step is one stream.

    It takes what the peer told of, and what others told of that do not answer.  `news` is set when there may
    be work.
    """

    idle_s = 2.0

    def __init__(
        self,
        peer: Peer,
        peers: Peers,
        store: Store,
        database: Database,
        streams: Streams,
        later: Later,
        *,
        most_bytes: int,
        news: threading.Event,
        go_on: GoOn,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._peers = peers
        self._store = store
        self._database = database
        self._streams = streams
        self._later = later
        self._most_bytes = most_bytes
        self._news = news
        self._go_on = go_on
        self._clock = clock
        self._not_before = float("-inf")
        self._leases = Leases()

    def step(self) -> bool:
        """Settle what one stream brings; say whether there may be more."""
        with self._leases.held():
            return self._step()

    def _step(self) -> bool:
        self._streams.look(self._peer.name)
        told_by = self._worth_a_stream()
        self._streams.take(self._peer.name, told_by)
        if not told_by:
            if self._news.wait(self.idle_s):
                self._news.clear()
            return True
        with self._streams.turns:
            return self._stream(told_by[0])

    def wake(self) -> None:
        """End the wait for work."""
        self._news.set()

    def _worth_a_stream(self) -> list[str]:
        """Return the peers that have told of so many pictures that a stream from this one is worth it."""
        if self._clock() < self._not_before:
            return []
        told_by = [self._peer.name]
        if not self._peers.placement.is_limited:  # then this peer has them all
            others = (peer for peer in self._peers.all if peer is not self._peer)
            told_by += [peer.name for peer in others if self._peers.is_away(peer)]
        with self._database.transaction() as cursor, self._leases.claiming(cursor):
            return [name for name in told_by if clones.due(cursor, name, LEAST) >= LEAST]

    def _stream(self, told_by: str) -> bool:
        if not self._peers.may_ask(self._peer):
            self._streams.take(self._peer.name, ())
            return False
        requests, began = self._claim(told_by), self._clock()
        if not requests:  # another took them meanwhile
            return True
        with Transfer(
            requests, self._peer.name, self._store, self._database, self._later, self._go_on
        ) as transfer:
            self._try(transfer)
        log.info(
            "event=streamed peer=%s pictures=%d bytes=%d seconds=%.3f",
            self._peer.name, transfer.pictures, transfer.bytes, self._clock() - began,
        )  # fmt: skip
        return True

    def _claim(self, told_by: str) -> list[Request]:
        """Take as many requests as one stream is to bring."""
        with self._database.transaction() as cursor:
            clones.alone(cursor)
            requests = clones.claim_new(cursor, told_by, MOST_KEYS, LEASE_S)
            sums = itertools.accumulate(request.wanted.bytes for request in requests)
            fits = max(1, sum(total <= MOST_BYTES for total in sums))
            left = [request.wanted.key for request in requests[fits:]]
            clones.give_back(cursor, left, UNTRIED)
        return requests[:fits]

    def _try(self, transfer: Transfer) -> None:
        """Settle what the stream brings, be it cut off."""
        try:
            try:
                transfer.settle_here(self._peers.placement.owns)
                self._receive(transfer)
            except PeerAway as error:
                transfer.is_broken = transfer.has_begun
                log.info("event=stream_broken peer=%s reason=%r", self._peer.name, error.detail)
            transfer.commit()
        except (Busy, StorageUnavailable) as error:
            self._rest(error.retry_after_s or BUSY_S)

    def _receive(self, transfer: Transfer) -> None:
        keys = list(transfer.waiting)
        if not keys:
            return
        with self._peers.originals(self._peer, keys) as blocks:
            if blocks is None:  # of the release before
                self._rest(NO_STREAMS_S)
                return
            transfer.has_begun = True
            for sample in Samples(
                blocks, keys, self._peer.name,
                wanted_bytes=transfer.wanted_bytes, most_bytes=self._most_bytes,
                known={key: request.wanted for key, request in transfer.waiting.items()},
            ):  # fmt: skip
                transfer.take(sample)
                if not self._go_on():
                    break  # the next process takes the rest over

    def _rest(self, seconds: float) -> None:
        self._not_before = self._clock() + seconds
