"""Latencies as counts of fixed buckets: they add up over time, and percentiles come from the sums."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

BOUNDS_S = (
    0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""Upper bounds, inclusive.  What took longer than the last is counted in one more bucket."""

Buckets = dict[int, int]
"""How many latencies fell into each bucket, by its number; empty ones are left out."""


def bucket_of(latency_s: float) -> int:
    """Return the number of the bucket that a latency belongs to."""
    return bisect.bisect_left(BOUNDS_S, latency_s)


def add(sums: Buckets, more: Mapping[int, int]) -> None:
    """Add `more` to `sums`."""
    for number, count in more.items():
        sums[number] = sums.get(number, 0) + count


def percentiles(buckets: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    """Return the latencies in seconds below which each of `shares` (0 to 1) lies; None without any.

    Latencies count as spread evenly within their bucket, beyond the last bound as equal to it.
    """
    return [_percentile(buckets, share) for share in shares]


def _percentile(buckets: Mapping[int, int], share: float) -> float | None:
    left = share * sum(buckets.values())
    found = None
    for number in sorted(buckets):
        found = _within(number, min(1.0, left / buckets[number]))
        left -= buckets[number]
        if left <= 0:
            break
    return found


def _within(number: int, share: float) -> float:
    low, high = (BOUNDS_S[max(0, min(one, len(BOUNDS_S) - 1))] for one in (number - 1, number))
    low = low if number else 0.0
    return round(low + share * (high - low), 5)
