"""What is known of one step of time: counts, latencies and gauges."""

from __future__ import annotations

import dataclasses
import json
import zlib
from typing import Any

from image_cloud.history import latencies
from image_cloud.history.latencies import Buckets

MOST_BYTES = 1 << 16
DAY_S = 86400
KEPT = {10: DAY_S // 10, 60: 14 * DAY_S // 60, 300: DAY_S // 300, 3600: 14 * DAY_S // 3600}
"""How many samples the node keeps, by the seconds of their step: a day, or two weeks of them."""


@dataclasses.dataclass
class Sample:
    """Counts and latencies add up; of a gauge there are the sum of what was measured, and how often it was.

    `counts` and `gauges` are named `what` or `what.which` (`results.nginx`); `latencies` are by route.
    """

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    latencies: dict[str, Buckets] = dataclasses.field(default_factory=dict)
    gauges: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def count(self, name: str, times: int = 1) -> None:
        """Count something that happened `times` times."""
        self.counts[name] = self.counts.get(name, 0) + times

    def latency(self, route: str, latency_s: float, times: int = 1) -> None:
        """Note how long `times` requests of a route took."""
        latencies.add(self.latencies.setdefault(route, {}), {latencies.bucket_of(latency_s): times})

    def measure(self, name: str, value: float) -> None:
        """Note a gauge's value."""
        self._add_gauge(name, [round(value, 3), 1])

    def mean(self, name: str) -> float | None:
        """Return the mean of what was measured, None without."""
        total, times = self.gauges.get(name, (0.0, 0))
        return round(total / times, 3) if times else None

    def add(self, other: Sample) -> None:
        """Take in what `other` knows of the same time or a later part of it."""
        for name, times in other.counts.items():
            self.count(name, times)
        for route, buckets in other.latencies.items():
            latencies.add(self.latencies.setdefault(route, {}), buckets)
        for name, measured in other.gauges.items():
            self._add_gauge(name, measured)

    def _add_gauge(self, name: str, measured: list[float]) -> None:
        total, times = self.gauges.get(name, (0, 0))
        self.gauges[name] = [round(total + measured[0], 3), times + measured[1]]

    def packed(self) -> bytes:
        """Return it as compressed JSON."""
        told = {"c": self.counts, "l": self.latencies, "g": self.gauges}
        text = json.dumps(told, separators=(",", ":"), allow_nan=False)
        return zlib.compress(text.encode())

    @classmethod
    def unpack(cls, packed: bytes) -> Sample:
        """Return what was `packed`, an empty sample of anything else."""
        try:
            told = json.loads(zlib.decompressobj().decompress(packed, MOST_BYTES))
            timed = {
                route: {int(number): count for number, count in _whole(counts).items()}
                for route, counts in told["l"].items()
            }
            gauges = {name: [float(total), int(n)] for name, (total, n) in told["g"].items()}
            return cls(_whole(told["c"]), timed, gauges)
        except (zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return cls()


def _whole(told: dict[str, Any]) -> dict[str, int]:
    """Return `told` where all its values are whole numbers.  Raises ValueError."""
    if not {type(value) for value in told.values()} <= {int}:
        raise ValueError("not a number")
    return told
