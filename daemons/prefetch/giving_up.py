"""URLs of dead domains: they fail, so that every batch ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import outcomes, queue
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.trouble import Trouble
from image_cloud.process.steps import GoOn

log = logging.getLogger(__name__)

AT_ONCE = 1000


class GivingUp:
    """Ends what waits for domains that have been dead for `after_s`; `clock` gives seconds since 1970."""

    def __init__(
        self,
        database: Database,
        domains: Domains,
        after_s: float,
        go_on: GoOn,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._domains = domains
        self._after_s = after_s
        self._go_on = go_on
        self._clock = clock

    def step(self) -> None:
        """Look at every domain in trouble.  Raises DatabaseUnavailable."""
        for trouble in self._domains.troubles():
            if not self._go_on():
                return
            if trouble.is_dead(self._after_s, self._clock()):
                self._end(trouble)

    def _end(self, trouble: Trouble) -> None:
        count = AT_ONCE
        while count == AT_ONCE and self._go_on():
            count = self._end_some(trouble)
            if count:
                log.warning(
                    "event=prefetch_gave_up domain=%s urls=%d code=%s",
                    trouble.domain, count, trouble.code,
                )  # fmt: skip

    def _end_some(self, trouble: Trouble) -> int:
        with self._database.transaction() as cursor:
            waiting = queue.lock_waiting(cursor, trouble.domain, AT_ONCE)
            ended = [failure(key, url, trouble) for key, url in waiting]
            outcomes.settle(cursor, ended)
        return len(ended)


def failure(key: str, url: str, trouble: Trouble) -> Outcome:
    """Return the outcome of a URL whose domain is dead: its reason is the domain's."""
    host = trouble.domain.partition("/")[0]
    since = datetime.fromtimestamp(trouble.since or trouble.changed, UTC).isoformat(
        timespec="seconds"
    )
    detail = f"{host} has answered nothing useful since {since}: {trouble.detail}"
    return Outcome(key, url, code=trouble.code, detail=detail)
