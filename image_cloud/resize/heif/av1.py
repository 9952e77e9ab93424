"""The sequence headers of an AV1 picture: the size that the decoder makes room for, and its colours.

A file's boxes may claim less.  AV1 Bitstream & Decoding Process Specification, 5.3 to 5.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SEQUENCE_HEADER = 1
MOST_UNITS = 1000
"""Open bitstream units in one picture; usually there are two or three."""
HEADER_BYTES = 256
CHOSEN_LATER = 2

Colours = tuple[int, int]


class Sequence(NamedTuple):
    """Largest width and height of a frame; primaries and transfer as ISO/IEC 23091-2 numbers them."""

    size: tuple[int, int]
    colours: Colours | None


def sequences(data: bytes) -> Iterator[Sequence]:
    """Yield what each sequence header in a picture's data says.  Raises ValueError."""
    at = 0
    for _ in range(MOST_UNITS):
        if at >= len(data):
            return
        kind, has_size = data[at] >> 3 & 15, data[at] & 2
        at += 2 if data[at] & 4 else 1
        length, at = _leb128(data, at) if has_size else (len(data) - at, at)
        if kind == SEQUENCE_HEADER:
            yield _sequence(_Bits(data[at : at + min(length, HEADER_BYTES)]))
        at += length
    raise ValueError("too many units in an AV1 picture")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 8]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a length that does not end")


class _Bits:
    """Reads numbers of any width out of bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def __call__(self, width: int) -> int:
        self._left -= width
        if self._left < 0:
            raise ValueError("an AV1 sequence header that is cut off")
        return self._value >> self._left & ((1 << width) - 1)

    def skip_uvlc(self) -> None:
        """Go past a number that says its own width."""
        zeros = 0
        while not self(1):
            zeros += 1
        self(min(zeros, 32) if zeros < 32 else 0)


def _sequence(bits: _Bits) -> Sequence:
    profile, _, is_reduced = bits(3), bits(1), bits(1)
    if is_reduced:
        bits(5)  # level
    else:
        _skip_operating_points(bits)
    wide, high = bits(4) + 1, bits(4) + 1
    size = bits(wide) + 1, bits(high) + 1
    if not is_reduced and bits(1):  # frame ids
        bits(7)
    bits(3)  # large superblocks, two filters
    if not is_reduced:
        _skip_tools(bits)
    bits(3)  # superres, cdef, restoration
    return Sequence(size, _colours(bits, profile))


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits(1):  # timing info
        bits(64)
        if bits(1):
            bits.skip_uvlc()
        if bits(1):  # decoder model
            delay_bits = bits(5) + 1
            bits(42)
    has_display_delay = bits(1)
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:  # level; from there on with a tier
            bits(1)
        if delay_bits and bits(1):
            bits(2 * delay_bits + 1)
        if has_display_delay and bits(1):
            bits(4)


def _skip_tools(bits: _Bits) -> None:
    bits(4)
    has_order_hint = bits(1)
    if has_order_hint:
        bits(2)
    screen_content = CHOSEN_LATER if bits(1) else bits(1)
    if screen_content and not bits(1):
        bits(1)
    if has_order_hint:
        bits(3)


def _colours(bits: _Bits, profile: int) -> Colours | None:
    is_deep = bits(1)
    if profile == 2 and is_deep:
        bits(1)
    if profile != 1:
        bits(1)  # monochrome
    return (bits(8), bits(8)) if bits(1) else None
