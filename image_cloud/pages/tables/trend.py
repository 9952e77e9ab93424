"""How a gauge of the history moved in the last hour: in words, as a line to draw, and as a table."""

from __future__ import annotations

import dataclasses
from typing import Any

from image_cloud.pages.people import clock_time, count

WIDTH, HEIGHT = 120, 24
TABLE_ROWS = 6
STEADY_SHARE = 0.02  # of the larger end


@dataclasses.dataclass(frozen=True)
class Trend:
    """`points` are those of an SVG polyline in WIDTH x HEIGHT, `rows` times and values for who reads."""

    words: str
    points: str
    rows: list[tuple[str, str]]


def trend_of(history: dict[str, Any], column: str) -> Trend | None:
    """Return the trend of a column of `/history`, None where nothing is known of it."""
    if column not in history["columns"]:
        return None
    place = history["columns"].index(column)
    known = [(row[0], row[place]) for row in history["rows"] if row[place] is not None]
    if len(known) < 2:
        return None
    return Trend(_words(known), _points(known), _table(known))


def _words(known: list[tuple[float, float]]) -> str:
    (start, first), (end, last) = known[0], known[-1]
    change = (last - first) / max(end - start, 1.0) * 3600
    if abs(last - first) <= STEADY_SHARE * max(abs(first), abs(last)):
        return "steady"
    return f"{'growing' if change > 0 else 'falling'} by {count(abs(change))} an hour"


def _points(known: list[tuple[float, float]]) -> str:
    start, span = known[0][0], max(known[-1][0] - known[0][0], 1.0)
    highest = max(value for _, value in known) or 1.0
    return " ".join(
        f"{(moment - start) / span * WIDTH:.1f},{HEIGHT - 1 - value / highest * (HEIGHT - 2):.1f}"
        for moment, value in known
    )


def _table(known: list[tuple[float, float]]) -> list[tuple[str, str]]:
    step = max(1, len(known) // TABLE_ROWS)
    return [(clock_time(moment), count(value)) for moment, value in known[::-1][::step]][
        :TABLE_ROWS
    ]
