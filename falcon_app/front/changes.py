"""/changes, the feed that peers follow: the front pool checks, the fetch pool waits and answers."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.cluster.absence import Freshness
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.epoch import FeedGuard
from image_cloud.db import clones, feed
from image_cloud.db.connect import Database
from image_cloud.db.listen import Listener
from image_cloud.errors import BadParameter, Resynchronising
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.request.query import Query

MOST_CHANGES = 2000
LONGEST_WAIT_S = 60
MOST_WAITING = 16  # in each process; more followers are answered at once
RECHECK_S, RECHECK_HELD_S = 1.0, 0.1


class Changes:
    """GET /changes in the front pool: `cursor`, `limit`, `wait` (seconds); or `key` alone."""

    scope = "peer"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the parameters and send the request on to where waiting is free."""
        query = query_of(req)
        cursor, limit, wait_s = parameters(query)
        values = {"cursor": str(cursor) if cursor.epoch else "", "limit": str(limit)}
        hand_on(resp, "/_changes", {**values, "wait": f"{wait_s:g}", "key": _key(query)})

    on_head = on_get


@dataclasses.dataclass(frozen=True)
class Self:
    """What this node tells of itself in each answer."""

    node: str
    accepts_deletes: bool


class ChangesAnswer:
    """GET /_changes in the fetch pool: only nginx gets here.

    Reads the feed only as long as `guard` and `freshness` vouch for it.
    """

    scope = None

    def __init__(
        self,
        database: Database,
        listener: Listener,
        guard: FeedGuard,
        clock: ClusterClock,
        freshness: Freshness,
        own: Self,
    ) -> None:
        self._database = database
        self._listener = listener
        self._guard = guard
        self._clock = clock
        self._freshness = freshness
        self._own = own
        self._waiting = threading.Semaphore(MOST_WAITING)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the changes behind the cursor, as soon as there are any."""
        query = query_of(req)
        cursor, limit, wait_s = parameters(query)
        if _key(query):
            resp.media = self._one(_key(query))
            return
        deadline = time.monotonic() + wait_s
        page = self._page(cursor, limit)
        if not page["changes"] and limit and self._waiting.acquire(blocking=False):
            try:
                page = self._await_changes(cursor, limit, deadline)
            finally:
                self._waiting.release()
        resp.media = page
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get

    def _one(self, key: str) -> dict[str, Any]:
        with self._database.transaction() as db:
            changes = feed.of_key(db, key)
        return {"changes": [dataclasses.asdict(change) for change in changes]}

    def _await_changes(self, cursor: feed.Position, limit: int, deadline: float) -> dict[str, Any]:
        while True:
            mark = self._listener.count()
            page = self._page(cursor, limit)
            left_s = deadline - time.monotonic()
            if page["changes"] or left_s <= 0:
                return page
            recheck_s = RECHECK_HELD_S if page["held"]["changes"] else RECHECK_S
            self._listener.wait(mark, min(left_s, recheck_s))

    def _check_resync(self) -> None:
        if self._freshness.is_resynchronising() and not self._freshness.has_begun():
            raise Resynchronising()

    def _page(self, cursor: feed.Position, limit: int) -> dict[str, Any]:
        with self._database.transaction() as db:
            epoch, next_xid = feed.state(db)
            self._guard.check(epoch, next_xid)
            self._check_resync()
            start = feed.Position(epoch)
            if cursor.epoch == epoch and cursor.xid < next_xid:
                start = cursor
            end, changes = feed.read(db, start, limit) if limit else (start, [])
            held = feed.held(db) if not changes else feed.Held(0, 0.0, "")
            backlog, read = clones.count(db), clones.positions(db)
        return {
            **dataclasses.asdict(self._own),
            "epoch": epoch,
            "now": self._clock.own(),
            "cursor": str(end),
            "more": len(changes) == limit > 0,
            "held": dataclasses.asdict(held),
            "backlog": backlog,
            "read": read,
            "changes": [dataclasses.asdict(change) for change in changes],
        }


def parameters(query: Query) -> tuple[feed.Position, int, float]:
    """Read cursor, limit and wait.  Raises BadParameter."""
    try:
        cursor = feed.Position.parse(query.text("cursor") or "")
    except ValueError:
        raise BadParameter("cursor: expected the cursor of an earlier answer, or none") from None
    limit = query.whole("limit", 0, MOST_CHANGES)
    return cursor, MOST_CHANGES if limit is None else limit, _wait_s(query)


def _key(query: Query) -> str:
    key = query.text("key") or ""
    if key and not KEY_PATTERN.fullmatch(key):
        raise BadParameter("key: expected 64 hexadecimal digits")
    return key


def _wait_s(query: Query) -> float:
    text = query.text("wait") or "0"
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= LONGEST_WAIT_S:
        raise BadParameter(f"wait: expected seconds from 0 to {LONGEST_WAIT_S}")
    return wait_s
