"""Numbers and strangers' texts as people read them, on pages and terminals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def ago(seconds: float) -> str:
    """Return a time in its largest unit."""
    seconds = max(seconds, 0.0)
    unit, name = next((one for one in TIMES if seconds >= one[0]), TIMES[-1])
    return f"{seconds / unit:.0f} {name}"


def size(count_bytes: float) -> str:
    """Return a size in its largest unit."""
    unit, name = next((one for one in SIZES if count_bytes >= one[0]), (1, "bytes"))
    return f"{count_bytes / unit:.3g} {name}" if unit > 1 else f"{count_bytes:.0f} {name}"


def days(count: float) -> str:
    """Return a number of days in words."""
    if count < 2:
        return f"{24 * count:.0f} hours"
    return f"{count:.0f} days"


def milliseconds(seconds: float) -> str:
    """Return a short time."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def printable(text: Any) -> str:
    """Return what may go to a terminal: what shops and peers say holds no control characters."""
    return "".join(one if one.isprintable() else "?" for one in str(text))


def count(number: float) -> str:
    """Return a number with its thousands set apart."""
    return f"{number:,.0f}"


def share(part: float) -> str:
    """Return a share of 1 as a percentage."""
    return f"{part:.1%}"


def clock_time(seconds: float) -> str:
    """Return a time since 1970 as date and time of day, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
