"""The way of one original: disk, then peers, then origin; one download per URL on the node."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable

from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.decoding.asking import Start
from image_cloud.errors import (
    Blocked,
    DeletedMeanwhile,
    ImageCloudError,
    NotLocal,
    StorageUnavailable,
)
from image_cloud.fetch.arrival import ORIGIN, Arrivals, Arrived, Deliver, Delivery, Sink
from image_cloud.fetch.flights import Flights
from image_cloud.fetch.purpose import RESTORE, VISITOR, Purpose
from image_cloud.fetch.unstored import Kept, Unstored
from image_cloud.metrics.definitions import DOWNLOAD_SECONDS, DOWNLOADED_BYTES, DOWNLOADS, UNSTORED
from image_cloud.metrics.outcomes import timed
from image_cloud.origin import Origin
from image_cloud.picture import structure
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.headers.validators import NONE, Validators
from image_cloud.picture.record import TICK_S, Original, Record
from image_cloud.picture.url import Url
from image_cloud.politeness.gate import Gate
from image_cloud.request.steps import HIT, MISS, PEER
from image_cloud.storage.failures import Failures
from image_cloud.storage.guard.outage import Outage
from image_cloud.storage.local.arriving import Arriving
from image_cloud.storage.local.copies import Copy
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Found:
    """An original: on disk, or (storage full) only its bytes in `data`; `source` is for X-Cache.

    One that has `arrived` is still on its way to the storage; of one that was just stored far away, this
    node may have a `copy`.
    """

    original: Original
    source: str
    data: bytes | None = None
    arrived: Arrived | None = None
    copy: Copy | None = None

    @classmethod
    def of(cls, arrived: Arrived, source: str) -> Found:
        """Return what has just come from there."""
        on_the_way = arrived if arrived.arriving else None
        return cls(arrived.original, source, arrived.data, on_the_way, arrived.copy)

    @property
    def arriving(self) -> Arriving | None:
        """Return what opens one that is on its way."""
        return self.arrived.arriving if self.arrived else None


class Unchanged(Exception):
    """The origin still has the bytes that are here; `validators` are what it says of them now."""

    code = "unchanged"

    def __init__(self, validators: Validators) -> None:
        self.validators = validators
        super().__init__()


class Cache:
    """Finds or fetches originals; one per process of the fetch pool or of a daemon."""

    def __init__(
        self,
        store: Store,
        failures: Failures,
        origin: Origin,
        gate: Gate,
        flights: Flights[Found],
        arrivals: Arrivals,
        peers: Peers,
        clock: ClusterClock,
        unstored: Unstored,
        outage: Outage,
    ) -> None:
        self._store = store
        self._failures = failures
        self._origin = origin
        self._gate = gate
        self._flights = flights
        self._arrivals = arrivals
        self._peers = peers
        self._clock = clock
        self._unstored = unstored
        self._outage = outage

    def load(
        self,
        url: Url,
        purpose: Purpose = VISITOR,
        *,
        use_peers: bool = False,
        start: Start | None = None,
        is_missed: bool = False,
    ) -> Found:
        """Return the original of `url`, downloaded if need be; `use_peers` asks the peers first.

        Concurrent calls for one URL, in any process, share one download and its failure.  `start` has it
        stored behind the return, in another thread, where the storage is far away; of one that another
        process has just missed, that saves a look.
        Raises the error of the origin, the picture or the node (image_cloud.errors).
        """
        is_missed = is_missed and self._store.originals.is_far
        original = None if is_missed else self._find(url.key)
        if original:
            return Found(original, HIT)
        # Where not every node keeps every picture, a miss asks the peers anyway.
        use_peers = use_peers or self._peers.placement.is_limited
        patience_s = None if purpose.waits_for_others else 0.0
        with self._gate.place(url) if purpose.is_urgent else contextlib.nullcontext():
            if start is None:
                return self._flights.run(
                    url.key, lambda: self._load_alone(url, purpose, use_peers), patience_s
                )
            return self._flights.run_ahead(
                url.key,
                lambda: self._load_ahead(url, purpose, use_peers),
                start=start,
                patience_s=patience_s,
            )

    def local(self, url: Url) -> Found:
        """Return the original of `url` if it is on disk.  Raises NotLocal."""
        original = self._store.originals.find(url.key)
        if original is None:
            raise NotLocal
        return Found(original, HIT)

    def restore(self, record: Record) -> None:
        """Bring a lost original back: from a peer, else from the origin; never over a delete.

        Raises what `load` raises, and StorageUnavailable where the disk does not take it.
        """
        self._flights.run(record.key, lambda: self._restore_alone(record))

    def load_changed(self, url: Url, known: Record, purpose: Purpose, stored_at: float) -> Found:
        """Return what the origin has now where that is other bytes than `known`, stored in their place.

        The caller sees to it that nobody else asks for the same URL.
        Raises Unchanged, DeletedMeanwhile, and what `load` raises.
        """
        self._origin.check(url)
        # The same kind of answer as before: an origin that offers AVIF, too, has not changed the picture.
        as_older = not FORMATS[known.format].is_heif
        arrived = self._receive(url, purpose, stored_at, as_older=as_older, known=known)
        return Found.of(arrived, MISS)

    def _restore_alone(self, record: Record) -> Found:
        original = self._store.originals.find(record.key)
        if original:
            return Found(original, HIT)
        url = Url.parse(record.url)
        # Other bytes than before count as the newer store, but not as newer than any real delete.
        stored_at = round(record.stored_at + TICK_S, 6)
        found = self._from_peers(url, RESTORE, stored_at)
        return found or self._download(url, RESTORE, stored_at)

    def _load_ahead(
        self, url: Url, purpose: Purpose, use_peers: bool
    ) -> tuple[Found, Callable[[], Found] | None]:
        """Return the original, and what stores one that is still on its way."""
        found = self._load_alone(url, purpose, use_peers, ahead=True)
        arrived, arriving = found.arrived, found.arriving
        if arrived is None or arriving is None:
            return found, None
        return found, lambda: self._store_arrived(url, arrived, arriving)

    def _store_arrived(self, url: Url, arrived: Arrived, arriving: Arriving) -> Found:
        stored = self._passed_through(url, self._arrivals.store(arrived, arriving))
        return Found.of(stored, MISS)

    def _load_alone(
        self, url: Url, purpose: Purpose, use_peers: bool, *, ahead: bool = False
    ) -> Found:
        original, earliest = self._look(url.key)
        if original:
            return Found(original, HIT)
        found = self._from_memory(url, purpose)
        if use_peers and not found:
            found = self._from_peers(url, purpose, self._store_time(earliest))
        return found or self._from_origin(url, purpose, earliest, ahead)

    def _find(self, key: str) -> Original | None:
        """Return the original of `key`; None as well where the storage is away, and has none.

        Raises StorageUnavailable where it is away, and may have one, and Blocked.
        """
        try:
            return self._store.originals.find(key)
        except StorageUnavailable as error:
            self._outage.require_new(key, error)
            return None

    def _look(self, key: str) -> tuple[Original | None, float]:
        """Return the original or when it may be stored at the earliest; raises what `_find` raises."""
        try:
            return self._store.look(key)
        except StorageUnavailable as error:
            self._outage.require_new(key, error)
            return None, 0.0

    def _from_memory(self, url: Url, purpose: Purpose) -> Found | None:
        """Take what came a moment ago and was not stored; the disk may take it now."""
        kept = self._unstored.find(url.key)
        if kept is None:
            return None
        delivery, data = kept.delivery, kept.data

        def deliver(sink: Sink) -> Delivery:
            sink.write(data)
            return delivery

        try:
            arrived = self._arrivals.take(url, deliver, keep=purpose.keep)
        except DeletedMeanwhile:
            self._unstored.forget(url.key)
            return None
        if arrived.data is not None:
            UNSTORED.add()
        return Found.of(arrived, MISS)

    def _from_origin(self, url: Url, purpose: Purpose, earliest: float, ahead: bool) -> Found:
        """Ask the origin, unless it failed a moment ago; remember how it goes.

        What the settings forbid is told anew each time: it costs nothing, and they may change.
        """
        self._origin.check(url)
        self._failures.check(url.key)
        try:
            found = self._download(url, purpose, self._store_time(earliest), ahead=ahead)
        except ImageCloudError as error:
            self._failures.remember(url.key, error)
            raise
        self._failures.forget(url.key)
        return found

    def _store_time(self, earliest: float) -> float:
        """Return the time that a store begun now gets."""
        return round(max(self._clock.now(), earliest), 6)

    def _download(
        self, url: Url, purpose: Purpose, stored_at: float, *, ahead: bool = False
    ) -> Found:
        """Fetch from the origin; one that sends AVIF or HEIC without a picture is asked for older formats.

        Such servers believe Accept more than they can keep.
        """
        arrived = self._receive(url, purpose, stored_at, ahead=ahead)
        if arrived.record.width is None and FORMATS[arrived.record.format].is_heif:
            again, later = dataclasses.replace(purpose, slot=None), round(stored_at + TICK_S, 6)
            with contextlib.suppress(ImageCloudError):
                arrived = self._receive(url, again, later, as_older=True)
        return Found.of(arrived, MISS)

    def _receive(
        self,
        url: Url,
        purpose: Purpose,
        stored_at: float,
        *,
        as_older: bool = False,
        known: Record | None = None,
        ahead: bool = False,
    ) -> Arrived:
        started = time.monotonic()
        try:
            with timed(DOWNLOADS, DOWNLOAD_SECONDS):
                return self._receive_counted(url, purpose, stored_at, as_older, known, ahead)
        except ImageCloudError as error:
            log.info(
                "event=download_failed key=%s host=%s code=%s upstream_status=%s seconds=%.3f",
                url.key, url.host, error.code, error.upstream_status or "", time.monotonic() - started,
            )  # fmt: skip
            raise

    def _receive_counted(
        self,
        url: Url,
        purpose: Purpose,
        stored_at: float,
        as_older: bool,
        known: Record | None,
        ahead: bool,
    ) -> Arrived:
        started = time.monotonic()
        validators = known.validators if known else NONE

        def deliver(sink: Sink) -> Delivery:
            with self._gate.visit(purpose.slot, urgent=purpose.is_urgent) as visit:
                came = self._origin.download(
                    url,
                    sink.write,
                    visit.enter,
                    sink.is_whole,
                    as_older=as_older,
                    known=validators,
                )
            if not came.is_modified or (known and known.sha256 == came.sha256):
                raise Unchanged(came.validators)
            self._clock.wait(stored_at)
            is_in_full = came.length_known and not (known and self._is_whole(known))
            return Delivery(
                came.sha256, stored_at, ORIGIN, is_in_full, came.is_private, came.validators
            )

        arrived = self._take(url, deliver, purpose, ahead=ahead)
        DOWNLOADED_BYTES.add(by=arrived.record.bytes)
        log.info(
            "event=downloaded key=%s host=%s bytes=%d seconds=%.3f stored=%s",
            url.key, url.host, arrived.record.bytes, time.monotonic() - started, _is_stored(arrived),
        )  # fmt: skip
        return arrived

    def _is_whole(self, known: Record) -> bool:
        """Say whether the picture that is here ends as its format does.

        Then one that does not is no new version: shops send files that are still being written.
        """
        original = self._store.originals.find(known.key)
        with contextlib.suppress(OSError):  # deleted, or unreadable
            if original:
                file, _ = self._store.originals.open(original)
                with file:
                    return structure.is_whole(file, known.format)
        return False

    def _take(
        self, url: Url, deliver: Deliver, purpose: Purpose, *, ahead: bool = False
    ) -> Arrived:
        """Store what `deliver` writes, or have it arrive where that may be done `ahead`."""
        arrived = self._arrivals.take(url, deliver, keep=purpose.keep, may_arrive=ahead)
        return self._passed_through(url, arrived)

    def _passed_through(self, url: Url, arrived: Arrived) -> Arrived:
        """Keep in memory for others what the storage does not take."""
        if arrived.data is not None:
            UNSTORED.add()
            self._unstored.keep(url.key, Kept(arrived.delivery, arrived.data))
        return arrived

    def _from_peers(self, url: Url, purpose: Purpose, stored_at: float) -> Found | None:
        for peer in self._peers.candidates(url.key):
            try:
                return self._from_peer(peer, url, purpose, stored_at)
            except (NotLocal, Blocked, DeletedMeanwhile):
                continue  # the peer has none, or one older than a delete
            except ImageCloudError as error:
                log.info("event=peer_failed peer=%s key=%s code=%s", peer.name, url.key, error.code)
        return None

    def _from_peer(self, peer: Peer, url: Url, purpose: Purpose, stored_at: float) -> Found:
        """Fetch from `peer`; one that does not know when it stored the picture stores it now."""
        started = time.monotonic()

        def deliver(sink: Sink) -> Delivery:
            sent = self._peers.fetch(peer, url, sink.write)
            stored = sent.stored_at or stored_at
            return Delivery(sent.sha256, stored, peer.name, True, sent.is_private)

        arrived = self._take(url, deliver, purpose)
        log.info(
            "event=fetched_from_peer peer=%s key=%s bytes=%d seconds=%.3f",
            peer.name, url.key, arrived.record.bytes, time.monotonic() - started,
        )  # fmt: skip
        return Found.of(arrived, PEER)


def _is_stored(arrived: Arrived) -> bool | str:
    return "soon" if arrived.arriving else arrived.data is None
