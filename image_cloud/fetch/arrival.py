"""How bytes become an original: received, looked at, recorded and kept, wherever they come from."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Collection
from typing import BinaryIO, Protocol

from image_cloud.errors import (
    CorruptImage,
    NotAnImage,
    StorageUnavailable,
    TruncatedImage,
    UnsupportedFormat,
)
from image_cloud.fetch.purpose import Keep
from image_cloud.picture import formats, structure
from image_cloud.picture.headers.validators import NONE, Validators
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.storage.guard.trouble import unavailable
from image_cloud.storage.incoming import Incoming, MemoryBudget
from image_cloud.storage.local.arriving import Arriving, OnTheWay
from image_cloud.storage.local.copies import Copy
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

NO_MEMORY = MemoryBudget(0)
LEAST_TO_TELL_BYTES = 32
"""What begins with so many bytes of no known format is no picture."""
ORIGIN, IMPORT = "origin", "import"
SENT = {ORIGIN: "the origin sent", IMPORT: "the file is"}
"""How errors begin that tell what came from there; a peer goes by its name."""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """Bytes that came: their SHA-256 (hex), when they count as stored, and from where.

    `is_in_full` says that their length was told and all of it came.  Without that only the picture's
    own end tells whether it was cut off.  `is_private` says that credentials were sent for them.
    `validators` are those that came with them.
    """

    sha256: str
    stored_at: float
    source: str
    is_in_full: bool
    is_private: bool = False
    validators: Validators = NONE


Write = Callable[[bytes], object]


@dataclasses.dataclass(frozen=True)
class Sink:
    """Where the bytes of a picture go; `is_whole` looks whether more can be missing.

    More than what is no picture is not wanted either.
    """

    write: Write
    is_whole: Callable[[], bool]


class Received(Protocol):
    """Bytes that have come: their beginning, how many, and all of them as a file."""

    head: bytes
    size: int

    def open(self) -> BinaryIO:
        """Return them as a file to read."""


Deliver = Callable[[Sink], Delivery]
Describe = Callable[[Incoming, Delivery], Record]


@dataclasses.dataclass(frozen=True)
class Arrived:
    """A picture that came.  `data` is None where it is on disk, else its bytes: the storage is full.

    One that is still `arriving` is yet to be stored (Arrivals.store); of one that has just been stored far
    away, this node may have a `copy`.
    """

    record: Record
    original: Original
    delivery: Delivery
    data: bytes | None = None
    arriving: Arriving | None = None
    copy: Copy | None = None


class Arrivals:
    """The way into the store for pictures that nobody has judged yet.

    Those of the `accepted` formats are taken.  `tell` hears of each record that is on disk, but whose
    row is still to be committed.  `budget` is for what a full storage leaves in memory.  Where the
    storage is far away, pictures may be `on_the_way`.
    """

    def __init__(
        self,
        store: Store,
        accepted: Collection[str],
        tell: Callable[[Record], object],
        budget: MemoryBudget = NO_MEMORY,
        on_the_way: OnTheWay | None = None,
    ) -> None:
        self._on_the_way = on_the_way
        self._store = store
        self._accepted = accepted
        self._tell = tell
        self._budget = budget

    def take(self, url: Url, deliver: Deliver, *, keep: Keep, may_arrive: bool = False) -> Arrived:
        """Keep the picture of `url` that `deliver` writes.  What `may_arrive` is perhaps still on its way.

        Raises NotAnImage, UnsupportedFormat, TruncatedImage, Blocked and DeletedMeanwhile, and
        what `deliver` raises.
        """

        def describe(incoming: Incoming, delivery: Delivery) -> Record:
            return self.describe(url, incoming, delivery)

        budget = self._budget if keep is Keep.IF_POSSIBLE else NO_MEMORY
        way = self._on_the_way if may_arrive else None
        return self._told(_receive(self._store, budget, deliver, describe, way, keep=keep))

    def store(self, arrived: Arrived, arriving: Arriving) -> Arrived:
        """Store a picture that is `arriving`; return what `take` returns of one that is not.

        Raises Blocked and DeletedMeanwhile.
        """
        with arriving:
            record, delivery = arrived.record, arrived.delivery
            keep = Keep.IF_POSSIBLE
            stored = _placed(self._store, arriving.incoming, record, delivery, keep)
            arriving.is_stored = stored.data is None
        return self._told(stored)

    def _told(self, arrived: Arrived) -> Arrived:
        """Tell of a record that is on disk; return the picture with the size that it says."""
        record = arrived.record
        if arrived.data is None and arrived.arriving is None:
            self._tell(record)
        if not record.width or not record.height:
            return arrived
        seen = dataclasses.replace(arrived.original, size=(record.width, record.height))
        return dataclasses.replace(arrived, original=seen)

    def describe(self, url: Url, incoming: Received, delivery: Delivery) -> Record:
        """Return the record of bytes that nobody has judged yet.

        Raises NotAnImage, UnsupportedFormat and TruncatedImage.
        """
        fmt = self._format(incoming, delivery)
        with incoming.open() as file:
            if not (delivery.is_in_full or structure.is_whole(file, fmt.name)):
                raise TruncatedImage(f"the {fmt.name} file ends after {incoming.size} bytes")
            width, height = structure.size_of(file, fmt.name) or (None, None)
        return Record(
            url.key, url.text, url.host, fmt.name, width, height, incoming.size,
            delivery.sha256, delivery.stored_at, delivery.source, **vars(delivery.validators),
        )  # fmt: skip

    def _format(self, incoming: Received, delivery: Delivery) -> formats.Format:
        fmt = formats.sniff(incoming.head)
        if fmt is None:
            raise NotAnImage(f"{_sent(delivery.source)} {formats.describe(incoming.head)}")
        if fmt.name not in self._accepted:
            allowed = ", ".join(self._accepted)
            raise UnsupportedFormat(f"{_sent(delivery.source)} {fmt.name}; supported are {allowed}")
        return fmt


def take_copy(store: Store, wanted: Record, deliver: Deliver) -> Record:
    """Keep another node's original, which has to be what `wanted` says; return its record here.

    That node has judged it, so it is kept as it is.
    Raises CorruptImage, StorageUnavailable, Blocked and DeletedMeanwhile, and what `deliver` raises.
    """

    def describe(incoming: Incoming, delivery: Delivery) -> Record:
        compare(wanted, incoming, delivery.sha256, delivery.source)
        return dataclasses.replace(wanted, bytes=incoming.size, stored_from=delivery.source)

    return _receive(store, NO_MEMORY, deliver, describe, keep=Keep.LASTS).record


def _receive(
    store: Store,
    budget: MemoryBudget,
    deliver: Deliver,
    describe: Describe,
    way: OnTheWay | None = None,
    *,
    keep: Keep,
) -> Arrived:
    with contextlib.ExitStack() as received:
        incoming = received.enter_context(Incoming(store, budget))
        delivery = deliver(Sink(incoming.write, lambda: _is_whole(incoming)))
        incoming.start_sync()
        record = describe(incoming, delivery)
        if way and record.width:  # of others the origin may be asked for another format
            original = record.original(is_private=delivery.is_private)
            if arriving := way.begin(incoming, original, record):
                received.pop_all()
                return Arrived(record, original, delivery, arriving=arriving)
        return _placed(store, incoming, record, delivery, keep)


def _placed(
    store: Store, incoming: Incoming, record: Record, delivery: Delivery, keep: Keep
) -> Arrived:
    """Give the picture its place, or leave it in memory.

    Raises StorageUnavailable where `keep` asks for more, Blocked and DeletedMeanwhile.
    """
    try:
        original = _place(store, incoming, record, delivery, keep)
        copy = _copy(store, incoming, record, original)
        return Arrived(record, original, delivery, copy=copy)
    except StorageUnavailable:
        if keep is not Keep.IF_POSSIBLE:
            raise
    with contextlib.suppress(
        StorageUnavailable
    ):  # the catalogue was asked (storage/guard/outage.py)
        store.tombstones.check(record.key, record.stored_at)
    original = record.original(is_private=delivery.is_private)
    return Arrived(record, original, delivery, incoming.data())


def _copy(store: Store, incoming: Incoming, record: Record, stored: Original) -> Copy | None:
    """Return what is `stored` far away now; None of what is near, or was there before in another format."""
    if store.originals.is_far and stored == record.original(is_private=stored.is_private):
        with contextlib.suppress(OSError):
            return Copy(incoming, record, time.monotonic())
    return None


def _is_whole(incoming: Incoming) -> bool:
    fmt = formats.sniff(incoming.head)
    if fmt is None:
        return len(incoming.head) >= LEAST_TO_TELL_BYTES
    with incoming.open() as file:
        return structure.is_whole(file, fmt.name)


def _place(
    store: Store, incoming: Incoming, record: Record, delivery: Delivery, keep: Keep
) -> Original:
    if incoming.file is None:
        raise incoming.why_in_memory
    try:
        lasts, private = keep is Keep.LASTS, delivery.is_private
        return store.place(incoming.file, record, is_private=private, lasts=lasts)
    except OSError as error:
        log.warning("event=not_stored key=%s reason=%r", record.key, error.strerror)
        raise unavailable(error) from error


def compare(wanted: Record, received: Received, sha256: str, source: str) -> None:
    """Raise CorruptImage where a copy has other bytes or another format than the feed of `source` told of."""
    if sha256 != wanted.sha256:
        raise CorruptImage(f"{_sent(source)} other bytes than its feed told of")
    fmt = formats.sniff(received.head)
    if fmt is None or fmt.name != wanted.format:
        came = formats.describe(received.head)
        raise CorruptImage(f"{_sent(source)} {came}, its feed told of {wanted.format}")


def _sent(source: str) -> str:
    return SENT.get(source, f"{source} sent")
