"""A clock that stands still."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Clock:
    """Gives `now`, seconds, until a test sets another time."""

    now: float

    def __call__(self) -> float:
        return self.now
