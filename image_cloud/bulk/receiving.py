"""The other end of a stream: a stranger's tar, read sample by sample within bounds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from image_cloud.bulk.samples import (
    ABSENT,
    BLOCK_BYTES,
    JSON,
    MOST_JSON_BYTES,
    PRIVATE,
    header_in,
    read_told,
    record_in,
)
from image_cloud.errors import PeerBroken
from image_cloud.picture.record import Record

SAMPLE_S = 30.0
SLOWEST_BYTES_PER_S = 100_000
"""A sample has so long to come, and longer the larger it is."""
OVERHEAD_BYTES = 2 * MOST_JSON_BYTES


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a stream says of one of the keys that were asked for.

    Without a `record` it is not there, or `refused` says what is wrong with what was told of it.
    `pieces` are its bytes, as they come; what is left of them is passed over.
    """

    key: str
    record: Record | None = None
    is_private: bool = False
    refused: str = ""
    pieces: Iterator[memoryview] = dataclasses.field(default_factory=lambda: iter(()))


class Bytes:
    """Bytes that come in blocks, at most `most_bytes` of them.  Raises PeerBroken."""

    def __init__(
        self, blocks: Iterator[bytes], most_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._blocks = blocks
        self._left = most_bytes
        self._clock = clock
        self._until = float("inf")
        self._rest = memoryview(b"")

    def expect(self, count: int) -> None:
        """Give the next sample its time: it has `count` bytes."""
        self._until = self._clock() + SAMPLE_S + count / SLOWEST_BYTES_PER_S

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yield the next `count` bytes, piece by piece."""
        while count:
            if not self._rest:
                self._rest = memoryview(self._next())
            piece, self._rest = self._rest[:count], self._rest[count:]
            count -= len(piece)
            yield piece

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > len(self._rest):
            return b"".join(self.pieces(count))
        piece, self._rest = self._rest[:count], self._rest[count:]
        return bytes(piece)

    def _next(self) -> bytes:
        block = next(self._blocks, b"")
        if not block:
            raise PeerBroken("the stream was cut off")
        if self._clock() > self._until:
            raise PeerBroken("the stream is too slow")
        self._left -= len(block)
        if self._left < 0:
            raise PeerBroken("the stream is too long")
        return block


class Samples:
    """The samples of a stream for which `keys` were asked in that order; `source` is the peer's name.

    `wanted_bytes` is what they have together, no picture more than `most_bytes`.  `known` are records by key
    that were checked before: what is told alike need not be.  Where `records_only` were asked for, no bytes
    follow.
    Iterating raises PeerBroken where the stream is cut off or malformed; what came before is sound.
    """

    def __init__(
        self,
        blocks: Iterator[bytes],
        keys: Sequence[str],
        source: str,
        *,
        wanted_bytes: int,
        most_bytes: int,
        known: Mapping[str, Record] = {},
        records_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known = known
        self._records_only = records_only
        self._keys = keys
        self._source = source
        self._most_bytes = most_bytes
        # One that was replaced meanwhile may be larger; not all of them.
        allowed = wanted_bytes + most_bytes + len(keys) * OVERHEAD_BYTES
        self._bytes = Bytes(blocks, allowed, clock)

    def __iter__(self) -> Iterator[Sample]:
        """Yield one sample for each key, until the stream ends."""
        for key in self._keys:
            self._bytes.expect(0)
            size = self._header(f"{key}.{JSON}", MOST_JSON_BYTES)
            if size is None:
                return
            sample = self._sample(key, self._content(size))
            yield sample
            for _ in sample.pieces:
                pass
        if self._header("", 0) is not None:
            raise PeerBroken("the stream has more than was asked for")

    def _sample(self, key: str, body: bytes) -> Sample:
        try:
            told = read_told(body)
        except ValueError as error:
            raise PeerBroken(f"malformed stream: {error}") from None
        if told.get(ABSENT) is True:
            return Sample(key)
        refused, record = "", None
        try:
            record = self._known_as(key, told) or record_in(told, key, self._source, time.time())
        except ValueError as error:
            refused = str(error)
        if self._records_only:
            return Sample(key, record, told.get(PRIVATE) is True, refused)
        size = self._header(f"{key}.", self._most_bytes)
        if size is None:
            raise PeerBroken("malformed stream: a record without its picture")
        if record and record.bytes != size:
            refused, record = "a record of another size", None
        self._bytes.expect(size)
        return Sample(key, record, told.get(PRIVATE) is True, refused, self._pieces(size))

    def _known_as(self, key: str, told: Mapping[str, Any]) -> Record | None:
        """Return the known record if it is what is told; checking one costs as much as its hash."""
        known = self._known.get(key)
        if known is None:
            return None
        alike = {**vars(known), "stored_from": told.get("stored_from")}
        is_alike = alike.items() <= told.items()
        return dataclasses.replace(known, stored_from=self._source) if is_alike else None

    def _header(self, name: str, most_bytes: int) -> int | None:
        """Return the size of the next member, whose name begins so; None at the end of the stream."""
        try:
            member = header_in(self._bytes.take(BLOCK_BYTES))
        except ValueError:
            raise PeerBroken("malformed stream: no header") from None
        if member is None:
            return None
        if not (member.isreg() and member.name.startswith(name) and member.size <= most_bytes):
            raise PeerBroken("malformed stream: another member than was asked for")
        return member.size

    def _content(self, size: int) -> bytes:
        return self._bytes.take(size + -size % BLOCK_BYTES)[:size]

    def _pieces(self, size: int) -> Iterator[memoryview]:
        yield from self._bytes.pieces(size)
        self._bytes.take(-size % BLOCK_BYTES)
