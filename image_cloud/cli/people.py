"""Numbers and strangers' texts as people read them on a terminal."""

from __future__ import annotations

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


def printable(text: Any) -> str:
    """Return what may go to a terminal: what shops and peers say holds no control characters."""
    return "".join(one if one.isprintable() else "?" for one in str(text))
