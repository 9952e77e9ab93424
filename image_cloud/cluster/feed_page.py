"""Pages of this node's change feed; a request without news waits for it (long poll)."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from image_cloud.cluster.absence import Freshness
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.epoch import FeedGuard
from image_cloud.db import clones, feed
from image_cloud.db.connect import Database
from image_cloud.db.feed import Position
from image_cloud.db.listen import Listener
from image_cloud.errors import BadParameter, Resynchronising
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.request.parameter import Parameters, Pattern, Seconds, Whole
from image_cloud.request.query import Query

MOST_CHANGES = 2000
LONGEST_WAIT_S = 60
MOST_WAITING = 128  # more followers are answered at once
RECHECK_S, RECHECK_HELD_S = 1.0, 0.1
REST = 20.0  # of the time, so many times less is spent on counting a long backlog


class PageParameters(Parameters):
    """The parameters of /changes."""

    def __init__(self) -> None:
        self.cursor = Pattern(
            name="cursor",
            pattern=r"[!-~]{0,200}",
            form="the cursor of an earlier answer, or none",
            meaning="of the answer before; none: from the start",
        )
        self.limit = Whole(
            name="limit", low=0, high=MOST_CHANGES, default=MOST_CHANGES, meaning="most changes"
        )
        self.wait = Seconds(
            name="wait",
            most=LONGEST_WAIT_S,
            meaning="seconds that an empty answer is held back until there is news",
        )
        self.key = Pattern(
            name="key",
            pattern=KEY_PATTERN.pattern,
            form="64 hexadecimal digits",
            meaning="the cache key of which alone the feed is to tell",
        )


@dataclasses.dataclass(frozen=True)
class PageRequest:
    """What a follower asks for: up to `limit` changes behind `cursor`, or what is known of `key`.

    Where there are none yet, it waits `wait_s` seconds for the first.
    """

    cursor: Position
    limit: int = MOST_CHANGES
    wait_s: float = 0.0
    key: str = ""

    @classmethod
    def read(cls, query: Query) -> PageRequest:
        """Read what PageParameters describe.  Raises BadParameter."""
        asked = PageParameters()
        return cls(_cursor(query), asked.limit.of(query), asked.wait.of(query), asked.key.of(query))

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        return {
            "cursor": str(self.cursor) if self.cursor.epoch else "",
            "limit": str(self.limit),
            "wait": f"{self.wait_s:.6f}",
            "key": self.key,
        }


@dataclasses.dataclass(frozen=True)
class Self:
    """What this node says about itself in each answer."""

    node: str
    accepts_deletes: bool


class FeedPages:
    """Reads the feed of `database` while `guard` and `freshness` allow it."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        guard: FeedGuard,
        clock: ClusterClock,
        freshness: Freshness,
        own: Self,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._listener = listener
        self._guard = guard
        self._clock = clock
        self._freshness = freshness
        self._own = own
        self._clock_s = clock_s
        self._waiting = threading.Semaphore(MOST_WAITING)
        self._counted = (0, 0.0)  # the backlog, and until when that stands

    def answer(self, asked: PageRequest) -> dict[str, Any]:
        """Return the page that was asked for, as JSON.  Raises Resynchronising, DatabaseUnavailable."""
        if asked.key:
            return self._of_key(asked.key)
        deadline = time.monotonic() + asked.wait_s
        page = self._page(asked)
        if not page["changes"] and asked.limit and self._waiting.acquire(blocking=False):
            try:
                return self._await_changes(asked, deadline)
            finally:
                self._waiting.release()
        return page

    def _of_key(self, key: str) -> dict[str, Any]:
        with self._database.transaction() as cursor:
            changes = feed.of_key(cursor, key)
        return {"changes": [vars(change) for change in changes]}

    def _await_changes(self, asked: PageRequest, deadline: float) -> dict[str, Any]:
        while True:
            mark = self._listener.count()
            page = self._page(asked)
            left_s = deadline - time.monotonic()
            if page["changes"] or left_s <= 0:
                return page
            recheck_s = RECHECK_HELD_S if page["held"]["changes"] else RECHECK_S
            self._listener.wait(mark, min(left_s, recheck_s))

    def _page(self, asked: PageRequest) -> dict[str, Any]:
        with self._database.transaction() as cursor:
            start = self._start(cursor, asked.cursor)
            end, changes = feed.read(cursor, start, asked.limit) if asked.limit else (start, [])
            held = feed.held(cursor) if not changes else feed.Held(0, 0.0, "")
            # In this order: where nothing waits, all that was read before is here.
            read, backlog = clones.positions(cursor), self._count(cursor)
        return {
            **dataclasses.asdict(self._own),
            "epoch": start.epoch,
            "now": self._clock.own(),
            "cursor": str(end),
            "more": len(changes) == asked.limit > 0,
            "held": dataclasses.asdict(held),
            "backlog": backlog,
            "read": read,
            "changes": [vars(change) for change in changes],
        }

    def _count(self, cursor: Any) -> int:
        """Return the backlog; one of nothing is never an old count: peers go by it."""
        began, (backlog, until) = self._clock_s(), self._counted
        if began >= until:
            backlog = clones.count(cursor)
            took_s = self._clock_s() - began
            self._counted = (backlog, began + REST * took_s if backlog else 0.0)
        return backlog

    def _start(self, cursor: Any, after: Position) -> Position:
        """Return where to read on: at the feed's start where `after` is of another epoch."""
        epoch, next_xid = feed.state(cursor)
        self._guard.check(epoch, next_xid)
        if self._freshness.is_resynchronising() and not self._freshness.has_begun():
            raise Resynchronising()
        return after if after.epoch == epoch and after.xid < next_xid else Position(epoch)


def _cursor(query: Query) -> Position:
    try:
        return Position.parse(PageParameters().cursor.of(query))
    except ValueError:
        raise BadParameter("cursor: expected the cursor of an earlier answer, or none") from None
