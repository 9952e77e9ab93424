"""Cloning as the page shows it: what waits for which peer, what is stuck, and what the audit found."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.db import clones
from image_cloud.db.clones import PeerQueue, Stuck
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from image_cloud.fetch.audit_state import AuditState, Found
from image_cloud.history.windows import History, HistoryRequest
from image_cloud.pages.people import ago, count, share
from image_cloud.pages.tables.patience import Patience
from image_cloud.pages.tables.trend import Trend, trend_of
from image_cloud.storage.originals import FOLDERS

MOST_STUCK = 50
SMALL_LAG_S = 30.0
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class PeerRow:
    """One peer: `waiting` is what this node has to clone of its feed, `backlog` what the peer has to."""

    name: str
    url: str
    words: str
    level: str
    seen: str
    waiting: str
    lag: str
    backlog: str
    trend: Trend | None
    error: str


@dataclasses.dataclass(frozen=True)
class StuckRow:
    """One request that was tried in vain again and again."""

    url: str
    peer: str
    attempts: str
    error: str
    waits: str
    next_try: str


@dataclasses.dataclass(frozen=True)
class FoundRow:
    """One finding of the audit."""

    when: str
    key: str
    kind: str
    done: str


@dataclasses.dataclass(frozen=True)
class AuditRow:
    """How far the audit is, 0 to 1; without a share it rests."""

    share: float | None
    words: str
    findings: list[FoundRow]


@dataclasses.dataclass(frozen=True)
class Queues:
    """What the database says."""

    total: int
    by_peer: dict[str, PeerQueue]
    stuck: list[Stuck]


@dataclasses.dataclass(frozen=True)
class CloningState:
    """All of the page; `error` says why the database's part is missing."""

    backlog: str
    trend: Trend | None
    peers: list[PeerRow]
    stuck: list[StuckRow]
    audit: AuditRow
    error: str


class Cloning:
    """Puts the page together from the database, the peers' states, the history and the audit's files."""

    def __init__(
        self,
        database: Database,
        peers: PeerStates,
        history: History,
        audit: AuditState,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._peers = peers
        self._history = history
        self._audit = audit
        self._clock = clock
        self._patience: Patience[Queues] = Patience()

    def state(self) -> CloningState:
        """Return what is known now."""
        now, error = self._clock(), ""
        try:
            queues: Queues | None = self._patience.ask(self._queues)
        except DatabaseUnavailable as away:
            queues, error = None, away.detail
        told = self._history.answer(HistoryRequest("1h"))
        states = sorted(self._peers.read().values(), key=lambda one: one.name)
        return CloningState(
            backlog=count(queues.total) if queues else UNKNOWN,
            trend=trend_of(told, "clone_backlog"),
            peers=[_peer(one, queues, told, now) for one in states],
            stuck=[_stuck(one) for one in (queues.stuck if queues else [])],
            audit=self._audit_row(now),
            error=error,
        )

    def _queues(self) -> Queues:
        with self._database.transaction() as cursor:
            by_peer = {one.name: one for one in clones.by_peer(cursor)}
            return Queues(clones.count(cursor), by_peer, clones.stuck(cursor, MOST_STUCK))

    def _audit_row(self, now: float) -> AuditRow:
        place = self._audit.place()
        last = f"the last one ended {ago(now - place.finished_at)} ago" if place.finished_at else ""
        findings = [_found(one, now) for one in self._audit.findings()]
        if not place.folder:
            words = f"Rests; {last}" if last else "Has not begun yet"
            return AuditRow(None, words, findings)
        part = place.folder / FOLDERS
        return AuditRow(part, f"{share(part)} read" + (f"; {last}" if last else ""), findings)


def _peer(state: PeerState, queues: Queues | None, history: dict[str, Any], now: float) -> PeerRow:
    alive = state.is_alive(now)
    queue = queues.by_peer.get(state.name) if queues else None
    words, level = ("Answers", "good") if alive else ("Does not answer", "away")
    if state.is_stopped:
        words, level = "Stopped: it deletes too much", "bad"
    return PeerRow(
        name=state.name,
        url=state.url,
        words=words,
        level=level,
        seen=f"{ago(now - state.last_seen)} ago" if state.last_seen else "never",
        waiting=count(queue.requests) if queue else UNKNOWN,
        lag=_lag(queue),
        backlog=UNKNOWN if state.backlog is None else count(state.backlog),
        trend=trend_of(history, f"peer_backlog.{state.name}"),
        error=state.error,
    )


def _lag(queue: PeerQueue | None) -> str:
    if queue is None or queue.lag_s is None:
        return UNKNOWN
    return "none" if queue.lag_s < SMALL_LAG_S else ago(queue.lag_s)


def _stuck(one: Stuck) -> StuckRow:
    return StuckRow(
        url=one.url,
        peer=one.peer,
        attempts=count(one.attempts),
        error=one.error or UNKNOWN,
        waits=ago(one.age_s),
        next_try=f"in {ago(one.next_s)}" if one.next_s > 0 else "now",
    )


def _found(one: Found, now: float) -> FoundRow:
    return FoundRow(f"{ago(now - one.at)} ago", one.key, one.kind, one.done)
