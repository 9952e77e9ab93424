"""The way of one original: disk, then peers, then origin; one download per URL on the node."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import BinaryIO

import imagesize

from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.errors import (
    Blocked,
    DeletedMeanwhile,
    ImageCloudError,
    NotAnImage,
    NotLocal,
    StorageUnavailable,
    TruncatedImage,
    UnsupportedFormat,
)
from image_cloud.fetch.flights import Flights
from image_cloud.origin import Origin
from image_cloud.picture import formats
from image_cloud.picture.record import TICK_S, Original, Record
from image_cloud.picture.url import Url
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.slots import Slot
from image_cloud.storage.failures import Failures
from image_cloud.storage.incoming import Incoming, MemoryBudget
from image_cloud.storage.recorder import Recorder
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

Pixels = tuple[int | None, int | None]
HIT, MISS, PEER = "HIT", "MISS", "PEER"


@dataclasses.dataclass(frozen=True)
class Found:
    """An original: on disk, or (storage full) only its bytes in `data`; `source` is for X-Cache."""

    original: Original
    source: str
    data: bytes | None = None


class Cache:
    """Finds or fetches originals; one per process of the fetch pool or of a daemon.

    `accepted` are the names of the formats that are kept; `recorder` takes the rows.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        origin: Origin,
        gate: Gate,
        flights: Flights[Found],
        recorder: Recorder,
        budget: MemoryBudget,
        accepted: tuple[str, ...],
        peers: Peers,
        clock: ClusterClock,
    ) -> None:
        self._store = store
        self._failures = failures
        self._origin = origin
        self._gate = gate
        self._flights = flights
        self._recorder = recorder
        self._budget = budget
        self._accepted = accepted
        self._peers = peers
        self._clock = clock

    def load(self, url: Url, slot: Slot | None = None, *, use_peers: bool = False) -> Found:
        """Return the original of `url`, downloaded if need be; `use_peers` asks the peers first.

        Concurrent calls for one URL, in any process, share one download and its failure.
        `slot` is for downloads that nobody waits for: it is the domain's, and given back here;
        such a call does not wait for another process's download either.
        Raises what the origin, the picture or the node is guilty of (image_cloud.errors).
        """
        original = self._store.originals.find(url.key)
        if original:
            return Found(original, HIT)
        # Where not every node keeps every picture, a miss asks the peers anyway.
        use_peers = use_peers or self._peers.placement.is_limited
        patience_s = 0.0 if slot else None
        return self._flights.run(
            url.key, lambda: self._load_alone(url, slot, use_peers), patience_s
        )

    def restore(self, record: Record) -> None:
        """Bring a lost original back: from a peer, else from the origin; never over a delete.

        Raises what `load` raises, and StorageUnavailable where the disk does not take it.
        """
        found = self._flights.run(record.key, lambda: self._restore_alone(record))
        if found.data is not None:
            raise StorageUnavailable("storage: it was fetched, but could not be kept")

    def _restore_alone(self, record: Record) -> Found:
        original = self._store.originals.find(record.key)
        if original:
            return Found(original, HIT)
        url = Url.parse(record.url)
        found = self._from_peers(url)
        # Other bytes than before count as the newer store, but not as newer than any real delete.
        stored_at = round(record.stored_at + TICK_S, 6)
        return found or self._download(url, None, stored_at)

    def _load_alone(self, url: Url, slot: Slot | None, use_peers: bool) -> Found:
        original = self._store.originals.find(url.key)
        if original:
            return Found(original, HIT)
        self._store.tombstones.check_blocked(url.key)
        found = self._from_peers(url) if use_peers else None
        return found or self._from_origin(url, slot)

    def _from_origin(self, url: Url, slot: Slot | None) -> Found:
        remembered = self._failures.recall(url.key)
        if remembered:
            raise remembered
        try:
            found = self._download(url, slot)
        except ImageCloudError as error:
            self._failures.remember(url.key, error)
            raise
        self._failures.forget(url.key)
        return found

    def _download(self, url: Url, slot: Slot | None, stored_at: float | None = None) -> Found:
        started, stored_at = time.monotonic(), stored_at or self._store_time(url.key)
        with Incoming(self._store, self._budget) as incoming:
            with self._gate.visit(slot) as visit:
                downloaded = self._origin.download(url, incoming.write, visit.enter)
            incoming.start_sync()
            fmt, pixels = self._check_picture(incoming)
            record = _record(
                url, fmt, incoming, pixels,
                sha256=downloaded.sha256, stored_at=stored_at, source="origin",
            )  # fmt: skip
            # What was asked for in advance is crossed off the list next: it must last.
            found = self._keep(incoming, fmt, record, lasts=slot is not None)
        log.info(
            "event=downloaded key=%s host=%s bytes=%d seconds=%.3f stored=%s",
            url.key, url.host, record.bytes, time.monotonic() - started, found.data is None,
        )  # fmt: skip
        return found

    def _check_picture(self, incoming: Incoming) -> tuple[formats.Format, Pixels]:
        fmt = formats.sniff(incoming.head)
        if fmt is None:
            raise NotAnImage(f"the origin sent {formats.describe(incoming.head)}")
        if fmt.name not in self._accepted:
            allowed = ", ".join(self._accepted)
            raise UnsupportedFormat(f"the origin sent {fmt.name}; supported are {allowed}")
        with incoming.open() as file:
            if not formats.is_complete(file, incoming.size, fmt):
                raise TruncatedImage(f"the {fmt.name} file ends after {incoming.size} bytes")
            return fmt, _pixels(file)

    def _store_time(self, key: str) -> float:
        """Return the time that a store begun now gets: later than every delete known here."""
        tombstone = self._store.tombstones.find(key)
        earliest = tombstone.deleted_at + TICK_S if tombstone else 0.0
        return round(max(self._clock.now(), earliest), 6)

    def _from_peers(self, url: Url) -> Found | None:
        for peer in self._peers.candidates(url.key):
            try:
                return self._from_peer(peer, url)
            except (NotLocal, Blocked, DeletedMeanwhile):
                continue  # the peer has none, or one older than a delete
            except ImageCloudError as error:
                log.info("event=peer_failed peer=%s key=%s code=%s", peer.name, url.key, error.code)
        return None

    def _from_peer(self, peer: Peer, url: Url) -> Found:
        started = time.monotonic()
        with Incoming(self._store, self._budget) as incoming:
            sent = self._peers.fetch(peer, url, incoming.write)
            incoming.start_sync()
            fmt, pixels = self._check_picture(incoming)
            # A peer that does not know when it was stored cannot be told from one that stores now.
            stored_at = sent.stored_at or self._store_time(url.key)
            record = _record(
                url, fmt, incoming, pixels,
                sha256=sent.sha256, stored_at=stored_at, source=peer.name,
            )  # fmt: skip
            found = self._keep(incoming, fmt, record, PEER, lasts=True)
        log.info(
            "event=fetched_from_peer peer=%s key=%s bytes=%d seconds=%.3f",
            peer.name, url.key, record.bytes, time.monotonic() - started,
        )  # fmt: skip
        return found

    def _keep(
        self,
        incoming: Incoming,
        fmt: formats.Format,
        record: Record,
        source: str = MISS,
        *,
        lasts: bool,
    ) -> Found:
        original = Original(record.key, fmt.extension)
        if incoming.file:
            try:
                self._store.place(incoming.file, record, lasts=lasts)
                self._recorder.add(record)
                return Found(original, source)
            except OSError as error:
                log.warning("event=not_stored key=%s reason=%r", record.key, error.strerror)
        self._store.tombstones.check(record.key, record.stored_at)
        return Found(original, source, incoming.data())


def _record(
    url: Url, fmt: formats.Format, incoming: Incoming, pixels: Pixels,
    *, sha256: str, stored_at: float, source: str,
) -> Record:  # fmt: skip
    return Record(
        url.key, url.text, url.host, fmt.name, *pixels, incoming.size, sha256, stored_at, source
    )


def _pixels(file: BinaryIO) -> Pixels:
    """Read width and height from the header, as far as it can be understood."""
    try:
        file.seek(0)
        width, height = imagesize.get(file, exif_rotation=False)
    except Exception as error:  # a hostile header: the row goes without
        log.debug("event=no_dimensions error=%s", type(error).__name__)
        return None, None
    fits = 0 < width < 2**31 and 0 < height < 2**31
    return (int(width), int(height)) if fits else (None, None)
