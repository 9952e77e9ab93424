"""The charts of the overview: the columns of /history that each has, and the table and sentence behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from image_cloud.history.windows import WINDOWS
from image_cloud.pages.people import clock_time

MOST_ROWS = 24
NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart: `series` are columns and their names; a value is multiplied by `scale` to be in `unit`."""

    name: str
    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A chart with what can be read without drawing it: a sentence, and rows of time and values."""

    chart: Chart
    summary: str
    rows: list[tuple[str, list[str]]]


CHARTS = (
    Chart("requests", "Requests", "per second", (("requests_per_s", "all"),)),
    Chart("hits", "Hit rate", "%", (("hit_share", "pictures"),), 100),
    Chart("errors", "Server errors", "per second", (("errors_5xx_per_s", "5xx"),)),
    Chart(
        "times", "Time to answer with a picture", "ms",
        (("p50_s", "p50"), ("p95_s", "p95"), ("p99_s", "p99")), 1000,
    ),
)  # fmt: skip
LENGTHS = tuple(WINDOWS)
COLUMNS = ("time", *(column for chart in CHARTS for column, _ in chart.series))


def picked(history: dict[str, Any]) -> dict[str, Any]:
    """Return of an answer of /history what the charts draw: `step`, and a list of values by column."""
    places = {name: place for place, name in enumerate(history["columns"])}
    values = {
        name: [row[places[name]] if name in places else None for row in history["rows"]]
        for name in COLUMNS
    }
    return {"step": history["step"], "at": history["at"], "columns": values}


def drawn(history: dict[str, Any]) -> list[Drawn]:
    """Return all charts of one answer of /history."""
    columns = picked(history)["columns"]
    return [_drawn(chart, columns) for chart in CHARTS]


def _drawn(chart: Chart, columns: dict[str, list[float | None]]) -> Drawn:
    times = [float(one or 0) for one in columns["time"]]
    series = [_scaled(columns[name], chart.scale) for name, _ in chart.series]
    size = max(1, math.ceil(len(times) / MOST_ROWS))
    rows = [
        (clock_time(times[begin]), [_shown(_mean(one[begin : begin + size])) for one in series])
        for begin in range(0, len(times), size)
    ]
    known = [row for row in rows if any(value != NOTHING for value in row[1])]
    return Drawn(chart, _summary(chart, series), known[::-1])


def _scaled(values: Iterable[float | None], scale: float) -> list[float | None]:
    return [None if value is None else value * scale for value in values]


def _summary(chart: Chart, series: list[list[float | None]]) -> str:
    last = [(name, _last(one)) for (_, name), one in zip(chart.series, series, strict=True)]
    if all(value is None for _, value in last):
        return "nothing yet"
    if len(last) > 1:
        return ", ".join(f"{name} {_shown(value)}" for name, value in last) + f" {chart.unit}"
    most = max((value for value in series[0] if value is not None), default=None)
    unit = chart.unit if chart.unit != "per second" else "a second"
    return f"now {_shown(last[0][1])}, at most {_shown(most)} {unit}"


def _last(values: list[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _shown(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3g}"
