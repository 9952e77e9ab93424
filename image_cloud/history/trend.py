"""When the disk will be full, if it goes on as in the last hours."""

from __future__ import annotations

from collections.abc import Sequence

DAY_S = 86400.0
LEAST_S, LEAST_POINTS = 3600.0, 6
FAR_AWAY_DAYS = 3650.0


def days_left(free: Sequence[tuple[float, float]], reserve_bytes: float = 0.0) -> float | None:
    """Return in how many days no more than `reserve_bytes` will be free, None where that is not in sight.

    `free` has pairs of time in seconds and free bytes, the oldest first, of at least an hour.
    """
    if len(free) < LEAST_POINTS or free[-1][0] - free[0][0] < LEAST_S:
        return None
    lost_per_s = -_slope(free)
    left = max(0.0, free[-1][1] - reserve_bytes)
    if left > lost_per_s * FAR_AWAY_DAYS * DAY_S:
        return None
    return round(left / lost_per_s / DAY_S, 2) if lost_per_s > 0 else None


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line that is closest to `points` (least squares)."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
