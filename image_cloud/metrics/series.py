"""The kinds of metrics.  A definition costs nothing until its process counts with it."""

from __future__ import annotations

import bisect
import dataclasses
from typing import Any

from image_cloud.metrics import client

PREFIX = "image_cloud_"
Labels = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Definition:
    """A metric: its name without PREFIX, what it says, its labels, and the series that are always there.

    `group` is its heading in docs/metrics.md.
    """

    name: str
    help: str
    labels: Labels = ()
    known: tuple[Labels, ...] = ()
    kind: str = "gauge"
    buckets: tuple[float, ...] = ()
    group: str = ""

    @property
    def full_name(self) -> str:
        """The name as Prometheus knows it."""
        return PREFIX + self.name

    @property
    def from_start(self) -> tuple[Labels, ...]:
        """The labels of the series that exist before anything happened."""
        return self.known if self.labels else ((),)

    def _of(self, labels: Labels) -> Any:
        metric = client.make(self.kind, self.full_name, self.labels, self.buckets)
        return metric.labels(*labels) if self.labels else metric


@dataclasses.dataclass(frozen=True)
class Counter(Definition):
    """Counts events, in any process."""

    kind: str = "counter"

    def add(self, *labels: str, by: float = 1) -> None:
        """Count `by` more.  Never raises."""
        client.counted(lambda: self._of(labels).inc(by))


@dataclasses.dataclass(frozen=True)
class Gauge(Definition):
    """A value that the process which knows it sets; it goes when that process ends."""

    def set(self, value: float, *labels: str) -> None:
        """Note the value of now.  Never raises."""
        client.counted(lambda: self._of(labels).set(value))


@dataclasses.dataclass(frozen=True)
class Histogram(Definition):
    """How long events took, in seconds."""

    kind: str = "histogram"

    def observe(self, value: float, *labels: str, times: int = 1) -> None:
        """Note `times` more events that took so long each.  Never raises."""
        client.counted(lambda: _observe(self._of(labels), value, times))


@dataclasses.dataclass(frozen=True)
class State(Definition):
    """What no process counts: whoever is asked for metrics looks (image_cloud/supervision/metrics.py)."""


def _observe(histogram: Any, value: float, times: int) -> None:
    """Do what the library's `observe` does, `times` times: thousands of requests a second are alike."""
    place = bisect.bisect_left(histogram._upper_bounds, value)
    histogram._sum.inc(value * times)
    histogram._buckets[place].inc(times)
