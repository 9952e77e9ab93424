"""What is known against a domain, and what follows from it for those who want something from it."""

from __future__ import annotations

import dataclasses

from image_cloud.errors import OriginPaused

PAUSED, BROKEN, HALF_OPEN, FAILING = "paused", "broken", "half-open", "failing"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What is known against a domain.

    It is paused `until` (seconds since 1970; 0: not yet), for users' requests `until_for_users`, where
    that is earlier.  `failures` came in a row, the first one at `since`, and the breaker opened `opened`
    times; with `opened` 0 a time in `until` is the origin's own wish.
    """

    domain: str
    until: float = 0.0
    failures: int = 0
    opened: int = 0
    code: str = ""
    detail: str = ""
    upstream_status: int | None = None
    changed: float = 0.0
    since: float = 0.0
    until_for_users: float | None = None

    def end(self, *, urgent: bool = False) -> float:
        """Return when the pause ends, for users' requests (`urgent`) or for all others."""
        if urgent and self.until_for_users is not None:
            return self.until_for_users
        return self.until

    def state(self, now: float, *, urgent: bool = False) -> str:
        """Return PAUSED (the origin asked for it), BROKEN, HALF_OPEN or FAILING."""
        is_over = self.end(urgent=urgent) <= now
        if self.opened:
            return HALF_OPEN if is_over else BROKEN
        return FAILING if is_over else PAUSED

    def dead_from(self, give_up_after_s: float) -> float:
        """Return when it counts as dead, unless it is asked again before that: the pause ends."""
        return (self.since or self.changed) + give_up_after_s

    def is_dead(self, give_up_after_s: float, now: float) -> bool:
        """Say whether it is paused, and has answered nothing for `give_up_after_s`."""
        return self.until > now and now >= self.dead_from(give_up_after_s)

    def refusal(self, left_s: float) -> OriginPaused:
        """Return the error of a request that comes `left_s` too early."""
        host = self.domain.partition("/")[0]
        return OriginPaused(
            f"{host} is paused: {self.detail}",
            upstream_status=self.upstream_status,
            retry_after_s=max(left_s, 0.1),
            domain=self.domain,
        )
