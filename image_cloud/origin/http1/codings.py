"""gzip and deflate, decoded in blocks and within a limit: a few bytes can stand for gigabytes.

Checksums are not compared, as in browsers: whether the picture is sound is the decoder's to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from image_cloud.errors import OriginProtocol, TooManyBytes
from image_cloud.origin.http1.body import BLOCK_BYTES
from image_cloud.origin.http1.framing import GZIP

LONGEST_HEADER_BYTES = 128 * 1024
_GZIP = b"\x1f\x8b\x08"
_HEADER_CHECKSUM, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16  # flags of RFC 1952
_DICTIONARY = 0x20  # a flag of RFC 1950


class Decoded:
    """The blocks of a body with its codings undone, at most `most_bytes` of them.

    Without `certain` a layer whose header does not fit was never coded.  `has_ended` says afterwards
    that a coding came to its own end, whatever the length said.  Raises OriginProtocol for data
    that do not decode, or break off before what was yielded `is_whole`, and TooManyBytes.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        codings: tuple[str, ...],
        most_bytes: int,
        is_whole: Callable[[], bool],
        *,
        certain: bool,
    ) -> None:
        self.has_ended = False
        self._is_whole = is_whole
        self._certain = certain
        self._blocks = _bounded(blocks, most_bytes)
        for coding in reversed(codings):
            self._blocks = _bounded(self._layer(self._blocks, coding), most_bytes)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def _layer(self, blocks: Iterator[bytes], coding: str) -> Iterator[bytes]:
        start, offset = _beginning(blocks, coding)
        if offset is None and self._certain and coding != GZIP:
            offset = 0  # deflate without zlib's header: old servers understood it so
        if offset is not None and start:
            yield from self._inflated(start[offset:], blocks, coding)
        elif self._certain and start:
            raise OriginProtocol(f"the origin sent as {coding} what is not {coding}")
        else:
            yield start
            yield from blocks

    def _inflated(self, data: bytes, blocks: Iterator[bytes], coding: str) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while not inflater.eof:
            try:
                block = inflater.decompress(data, BLOCK_BYTES)
            except zlib.error:
                raise OriginProtocol(f"the origin's {coding} data do not decode") from None
            yield block
            data = inflater.unconsumed_tail
            if not data and len(block) < BLOCK_BYTES and not inflater.eof:
                data = next(blocks, b"")
                if not data and self._is_whole():
                    return  # only the coding's own end is missing
                if not data:
                    raise OriginProtocol(f"the origin's {coding} data end too early")
        self.has_ended = True


def _bounded(blocks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Pass on blocks that are not empty; raise TooManyBytes past the limit."""
    count_bytes = 0
    for block in blocks:
        count_bytes += len(block)
        if count_bytes > most_bytes:
            raise TooManyBytes(f"the picture's file has more than {most_bytes} bytes")
        if block:
            yield block


def _beginning(blocks: Iterator[bytes], coding: str) -> tuple[bytes, int | None]:
    """Return the first bytes and where the deflate data begin in them, None where nowhere."""
    find = _gzip_data if coding == GZIP else _zlib_data
    start = next(blocks, b"")
    while True:
        try:
            return start, find(start)
        except (IndexError, ValueError):  # the header goes on
            more = next(blocks, b"")
            if not more or len(start) > LONGEST_HEADER_BYTES:
                return start + more, None
            start += more


def _gzip_data(start: bytes) -> int | None:
    if not _GZIP.startswith(start[: len(_GZIP)]):
        return None
    flags, offset = start[3], 10
    if flags & _EXTRA:
        offset += 2 + start[10] + (start[11] << 8)
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            offset = start.index(b"\0", offset) + 1
    offset += 2 if flags & _HEADER_CHECKSUM else 0
    start[offset - 1]  # there so far, else IndexError
    return offset


def _zlib_data(start: bytes) -> int | None:
    is_header = start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return 2 if is_header and not start[1] & _DICTIONARY else None
