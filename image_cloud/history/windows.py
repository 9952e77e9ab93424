"""The answer of /history: one row for each step of a window of time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from image_cloud.db.history import HistoryReader
from image_cloud.history.latencies import percentiles
from image_cloud.history.routes import RESULTS, TIMED_ROUTES, pictures
from image_cloud.history.sample import DAY_S, Sample
from image_cloud.request.parameter import Parameters, Word
from image_cloud.request.query import Query

SHARES = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99}
COUNTS = (
    "requests", "errors_4xx", "errors_5xx", "status_401", "status_403", "status_429", "bytes",
    "downloads.ok", "download_bytes",
)  # fmt: skip
GAUGES = (
    "prefetch_waiting", "prefetch_leased", "clone_backlog", "decoder_running", "decoder_waiting",
    "fetch_running", "front_waiting", "fetch_waiting", "control_waiting", "disk_bytes",
    "disk_free_bytes", "disk_days_left", "variants_bytes", "memory_bytes",
)  # fmt: skip
"""What each row has; further counts, latencies and gauges follow where the samples have them."""

LEAST_OF_A_STEP_S = 60  # that must have passed of the step under way: lines come late
Value = float | None


@dataclasses.dataclass(frozen=True)
class Window:
    """The last `length_s` seconds in steps of `step_s`, one of KEPT."""

    length_s: int
    step_s: int


WINDOWS = {
    "1h": Window(3600, 10),
    "6h": Window(6 * 3600, 60),
    "24h": Window(DAY_S, 300),
    "14d": Window(14 * DAY_S, 3600),
}


class HistoryParameters(Parameters):
    """The parameters of /history."""

    def __init__(self) -> None:
        self.window = Word(
            name="window",
            meaning="how far back: in steps of 10 s, 1 min, 5 min or 1 h",
            choices=tuple(WINDOWS),
            default="1h",
        )


@dataclasses.dataclass(frozen=True)
class HistoryRequest:
    """The name of a window."""

    window: str

    @classmethod
    def read(cls, query: Query) -> HistoryRequest:
        """Read what HistoryParameters describe.  Raises BadParameter."""
        return cls(HistoryParameters().window.of(query))

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        return {"window": self.window}


class History:
    """Answers for `node` from its file; `clock` gives seconds since 1970."""

    def __init__(
        self, node: str, file: HistoryReader, clock: Callable[[], float] = time.time
    ) -> None:
        self._node = node
        self._file = file
        self._clock = clock

    def answer(self, asked: HistoryRequest) -> dict[str, Any]:
        """Return the rows of a window as JSON, the oldest first; null is what is not known.

        Rates are per second.  Percentiles are those of all requests of a step.  Of gauges a row has the mean.
        """
        window, now = WINDOWS[asked.window], self._clock()
        steps = dict(self._steps(window, now))
        columns = _columns(sample for sample in steps.values() if sample)
        rows = [
            [begin, *_row(sample, min(window.step_s, now - begin), columns)]
            for begin, sample in steps.items()
        ]
        return {
            "node": self._node,
            "window": asked.window,
            "at": now,
            "step": window.step_s,
            "columns": ["time", *columns],
            "rows": rows,
        }

    def _steps(self, window: Window, now: float) -> Iterator[tuple[int, Sample | None]]:
        """Yield when each step begins, and its sample if there is one."""
        end = int(now) // window.step_s * window.step_s
        if window.step_s > LEAST_OF_A_STEP_S and now - end >= LEAST_OF_A_STEP_S:
            end += window.step_s
        since = end - window.length_s
        found = dict(self._file.samples(window.step_s, since, end))
        for begin in range(since, end, window.step_s):
            yield begin, Sample.unpack(found[begin]) if begin in found else None


Cell = Callable[[Sample, float], Value]
"""Reads one value of what is known of a number of seconds."""


def _columns(samples: Iterable[Sample]) -> dict[str, Cell]:
    """Return the columns by name: those that are always there, then those that `samples` have more."""
    counts, timed, gauges = set[str](), set[str](), set[str]()
    for sample in samples:
        counts |= sample.counts.keys()
        timed |= sample.latencies.keys()
        gauges |= sample.gauges.keys()
    fixed_counts = (*COUNTS, *(f"results.{result}" for result in RESULTS))
    columns: dict[str, Cell] = {"hit_share": lambda sample, _: hit_share(sample)}
    columns |= {name: _percentile(None, share) for name, share in SHARES.items()}
    columns |= {_rate_name(name): _rate(name) for name in _first(fixed_counts, counts)}
    for route in _first(TIMED_ROUTES, timed):
        columns |= {f"{name}.{route}": _percentile(route, share) for name, share in SHARES.items()}
    return columns | {name: _gauge(name) for name in _first(GAUGES, gauges)}


def _first(fixed: Iterable[str], found: set[str]) -> Iterator[str]:
    yield from dict.fromkeys((*fixed, *sorted(found)))


def _rate_name(count: str) -> str:
    """Return `requests_per_s.get_image` for `requests.get_image`."""
    what, dot, which = count.partition(".")
    return f"{what}_per_s{dot}{which}"


def _rate(name: str) -> Cell:
    return lambda sample, seconds: round(sample.counts.get(name, 0) / seconds, 4)


def _percentile(route: str | None, share: float) -> Cell:
    def cell(sample: Sample, _: float) -> Value:
        latencies = pictures(sample.latencies) if route is None else sample.latencies.get(route, {})
        return percentiles(latencies, [share])[0]

    return cell


def hit_share(sample: Sample) -> Value:
    """Return which share of the pictures was answered from disk, None where none was asked for."""
    results = {name: sample.counts.get(f"results.{name}", 0) for name in RESULTS}
    total = sum(results.values())
    return round((results["nginx"] + results["front"]) / total, 4) if total else None


def _gauge(name: str) -> Cell:
    return lambda sample, _: sample.mean(name)


def _row(sample: Sample | None, seconds: float, columns: dict[str, Cell]) -> list[Value]:
    if sample is None:
        return [None] * len(columns)
    return [cell(sample, max(seconds, 1.0)) for cell in columns.values()]
