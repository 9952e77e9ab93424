"""The way of one original: disk, then peers, then origin; one download per URL on the node."""

from __future__ import annotations

import dataclasses
import logging
import time

import imagesize

from image_cloud import formats, urls
from image_cloud.disk import Original, Record, Store
from image_cloud.errors import ImageCloudError, NotAnImage, TruncatedImage, UnsupportedFormat
from image_cloud.failures import Failures
from image_cloud.flights import Flights
from image_cloud.gate import Gate
from image_cloud.incoming import Incoming, MemoryBudget
from image_cloud.keys import key_of
from image_cloud.origin import Origin
from image_cloud.recorder import Recorder
from image_cloud.slots import Slot

log = logging.getLogger(__name__)

HIT, MISS = "HIT", "MISS"


@dataclasses.dataclass(frozen=True)
class Found:
    """An original: on disk, or (storage full) only its bytes in `data`; `source` is for X-Cache."""

    original: Original
    source: str
    data: bytes | None = None


class Cache:
    """Finds or fetches originals; one per process of the fetch pool or of a daemon."""

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
    ) -> None:
        """`accepted` are the names of the formats that are kept; `recorder` takes the rows."""
        self._store = store
        self._failures = failures
        self._origin = origin
        self._gate = gate
        self._flights = flights
        self._recorder = recorder
        self._budget = budget
        self._accepted = accepted

    def load(self, url: str, slot: Slot | None = None) -> Found:
        """Return the original of `url`, downloaded if need be.

        Concurrent calls for one URL, in any process, share one download and its failure.
        `slot` is for downloads that nobody waits for: it is the domain's, and given back here;
        such a call does not wait for another process's download either.
        Raises what the origin, the picture or the node is guilty of (image_cloud.errors).
        """
        key = key_of(url)
        original = self._store.original(key)
        if original:
            return Found(original, HIT)
        patience_s = 0.0 if slot else None
        return self._flights.run(key, lambda: self._load_alone(url, key, slot), patience_s)

    def _load_alone(self, url: str, key: str, slot: Slot | None) -> Found:
        original = self._store.original(key)
        if original:
            return Found(original, HIT)
        remembered = self._failures.recall(key)
        if remembered:
            raise remembered
        try:
            found = self._download(url, key, slot)
        except ImageCloudError as error:
            self._failures.remember(key, error)
            raise
        self._failures.forget(key)
        return found

    def _download(self, url: str, key: str, slot: Slot | None) -> Found:
        started = time.monotonic()
        with Incoming(self._store, self._budget) as incoming:
            with self._gate.visit(slot) as visit:
                downloaded = self._origin.download(url, incoming.write, visit.enter)
            fmt = self._check_picture(incoming)
            incoming.finish()
            record = self._record(url, key, fmt, incoming, downloaded.sha256)
            found = self._keep(incoming, fmt, record)
        log.info(
            "event=downloaded key=%s host=%s bytes=%d seconds=%.3f stored=%s",
            key, record.host, record.bytes, time.monotonic() - started, found.data is None,
        )  # fmt: skip
        return found

    def _check_picture(self, incoming: Incoming) -> formats.Format:
        fmt = formats.sniff(incoming.head)
        if fmt is None:
            raise NotAnImage(f"the origin sent {formats.describe(incoming.head)}")
        if fmt.name not in self._accepted:
            allowed = ", ".join(self._accepted)
            raise UnsupportedFormat(f"the origin sent {fmt.name}; supported are {allowed}")
        with open(incoming.path, "rb") as file:
            if not formats.is_complete(file, incoming.size, fmt):
                raise TruncatedImage(f"the {fmt.name} file ends after {incoming.size} bytes")
        return fmt

    def _record(
        self, url: str, key: str, fmt: formats.Format, incoming: Incoming, sha256: str
    ) -> Record:
        width, height = _pixels(incoming)
        host = urls.parse(url).host
        now = time.time()
        return Record(key, url, host, fmt.name, width, height, incoming.size, sha256, now, "origin")

    def _keep(self, incoming: Incoming, fmt: formats.Format, record: Record) -> Found:
        original = Original(record.key, fmt.extension)
        if not incoming.in_memory:
            try:
                self._store.keep_original(incoming.path, fmt.extension, record)
                self._recorder.add(record)
                return Found(original, MISS)
            except OSError as error:
                log.warning("event=not_stored key=%s reason=%r", record.key, error.strerror)
        return Found(original, MISS, incoming.data())


def _pixels(incoming: Incoming) -> tuple[int | None, int | None]:
    """Read width and height from the header, as far as it can be understood."""
    try:
        with open(incoming.path, "rb") as file:
            width, height = imagesize.get(file, exif_rotation=False)
    except Exception as error:  # a hostile header: the row goes without
        log.debug("event=no_dimensions error=%s", type(error).__name__)
        return None, None
    fits = 0 < width < 2**31 and 0 < height < 2**31
    return (int(width), int(height)) if fits else (None, None)
