"""Hashes as they are stored and searched for: nothing within the distance is missed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.picture.dhash import MOST_WITHIN, Hash, code_of, dhash_of, near

ALL = (1 << 64) - 1


@given(st.integers(0, ALL))
def test_a_code_is_the_hash_in_another_order(bits: int) -> None:
    dhash = f"{bits:016x}"
    assert dhash_of(code_of(dhash)) == dhash
    assert (code_of(dhash) & ALL).bit_count() == bits.bit_count()
    assert -(1 << 63) <= code_of(dhash) < 1 << 63


@given(st.integers(0, ALL), st.integers(0, ALL))
def test_distances_stay(one: int, other: int) -> None:
    difference = (code_of(f"{one:016x}") ^ code_of(f"{other:016x}")) & ALL
    assert difference.bit_count() == (one ^ other).bit_count()


def test_each_part_has_bits_of_each_row() -> None:
    for row in range(8):
        code = code_of(f"{0xFF << (8 * row):016x}") & ALL
        assert [(code >> turn & 0xFFFF).bit_count() for turn in range(0, 64, 16)] == [2, 2, 2, 2]


@pytest.mark.parametrize("within", range(MOST_WITHIN + 1))
def test_whatever_is_near_lies_in_a_range_of_some_part(within: int) -> None:
    choice = random.Random(within)
    for _ in range(30):
        code = choice.getrandbits(64)
        for part in near(signed(code), within):
            assert part.turned == signed(turned(code, part.turn))
        other = code
        for bit in choice.sample(range(64), within):
            other ^= 1 << bit
        assert any(
            low <= signed(turned(other, part.turn)) < low + (1 << 48)
            for part in near(signed(code), within)
            for low in part.lows
        )


def test_versions_are_what_postgresql_can_hold() -> None:
    assert Hash("k", "ff" * 32, "0" * 16).version == -1
    assert Hash("k", "00" * 31 + "ff", "0" * 16).version == 0
    assert Hash("k", "80" + "00" * 31, "0" * 16).version == -(1 << 63)


def turned(bits: int, turn: int) -> int:
    return (bits << turn | bits >> (64 - turn)) & ALL


def signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits
