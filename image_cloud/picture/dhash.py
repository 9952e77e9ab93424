"""Difference hashes: how they are searched for by what they have in common.

A hash has 64 bits, 8 for each row of pixels.  Two hashes that differ in at most n bits have, of any 4 parts,
one that differs in at most n / 4: an index over each part finds them.  Rows of plain background are alike in
most product photos, so that each part takes two bits of each row.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

BITS, PARTS, ROW_BITS = 64, 4, 8
PART_BITS = BITS // PARTS
MOST_WITHIN = 16
_SIGN, _ALL = 1 << (BITS - 1), (1 << BITS) - 1
# The bit of the hash, 0 the highest, that stands in each place of the code: part by part.
_ORDER = [
    row * ROW_BITS + column
    for part in range(PARTS)
    for row in range(BITS // ROW_BITS)
    for column in range(part, ROW_BITS, PARTS)
]


@dataclasses.dataclass(frozen=True)
class Hash:
    """The difference hash, 16 hex digits, of the original of `key` that has this SHA-256."""

    key: str
    sha256: str
    dhash: str

    @property
    def version(self) -> int:
        """Return the first 64 bits of the SHA-256, as PostgreSQL's bigint."""
        return _signed(int(self.sha256[:16], 16))

    @property
    def code(self) -> int:
        """Return the hash as it is stored."""
        return code_of(self.dhash)


@dataclasses.dataclass(frozen=True)
class Near:
    """What one part of a code has to be: turned by `turn` bits, it lies in a range from one of `lows` on."""

    turn: int
    turned: int
    lows: list[int]


def code_of(dhash: str) -> int:
    """Return a hash as it is stored: its bits part by part, as PostgreSQL's bigint."""
    return _signed(_permuted(int(dhash, 16), _ORDER))


def dhash_of(code: int) -> str:
    """Return the hash that is stored as `code`."""
    inverse = sorted(range(BITS), key=_ORDER.__getitem__)
    return f"{_permuted(code & _ALL, inverse):016x}"


def near(code: int, within: int) -> list[Near]:
    """Return, for each part, where codes lie of which it differs in few enough bits."""
    found = []
    for turn in range(0, BITS, PART_BITS):
        turned = _turned(code & _ALL, turn)
        top = turned >> (BITS - PART_BITS)
        lows = [_signed((top ^ mask) << (BITS - PART_BITS)) for mask in _masks(within // PARTS)]
        found.append(Near(turn, _signed(turned), lows))
    return found


@functools.cache
def _masks(most: int) -> list[int]:
    """Return all ways in which a part may differ in at most `most` bits."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in itertools.combinations(range(PART_BITS), count)
    ]


def _permuted(bits: int, order: list[int]) -> int:
    result = 0
    for place in order:
        result = result << 1 | bits >> (BITS - 1 - place) & 1
    return result


def _turned(bits: int, turn: int) -> int:
    """Rotate to the left."""
    return (bits << turn | bits >> (BITS - turn)) & _ALL


def _signed(bits: int) -> int:
    return bits - (1 << BITS) if bits & _SIGN else bits
