"""What the pages Domains, Prefetch and Cloning tell."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.errors import BadParameter, DatabaseUnavailable
from image_cloud.fetch.audit_state import AuditState, Found, Place
from image_cloud.history.windows import HistoryRequest
from image_cloud.pages.tables.batch_list import BatchList
from image_cloud.pages.tables.batches import row
from image_cloud.pages.tables.cloning import Cloning, CloningState
from image_cloud.pages.tables.domains import DomainTable
from image_cloud.pages.tables.patience import THREADS, Patience
from image_cloud.pages.tables.trend import trend_of
from image_cloud.storage.originals import FOLDERS

NOW = 1_800_000_000.0
DEADLINE_S = 60.0


def iso(ago_s: float) -> str:
    return datetime.fromtimestamp(NOW - ago_s, UTC).isoformat()


def batch(**more: Any) -> dict[str, Any]:
    """Return a batch of ten URLs, four of which are over."""
    told = {
        "batch": "6b6b1dd9-5c4f-4d4d-a0f5-0123456789ab", "client": "importer", "state": "running",
        "total": 10,
        "done": 3, "failed": 1, "cancelled": 0, "waiting": 6, "failures": {"origin_reset": 1},
        "already_cached": 1, "priority": 0, "created_at": iso(30), "finished_at": None, "callback": None,
    }  # fmt: skip
    return told | more


def test_a_batch_that_runs_tells_how_long_it_will() -> None:
    shown = row(batch(), NOW)
    assert (shown.words, shown.share, shown.began) == ("Running", 0.4, "30 s ago")
    assert shown.counts == "3 of 10 done, 6 waiting, 1 failed"
    assert shown.left == "about 1 min left"  # 3 in 30 s, without the cached one
    assert shown.failures == [("origin_reset", "1")]
    assert (shown.can_cancel, shown.can_retry) == (True, True)


def test_nothing_is_told_that_nobody_knows() -> None:
    fresh = row(batch(created_at=iso(1)), NOW)
    waiting = row(batch(done=1, failed=0, waiting=9, failures={}), NOW)
    assert fresh.left == waiting.left == ""
    assert row(batch(total=0, done=0, failed=0, waiting=0, already_cached=0), NOW).share == 1.0


@pytest.mark.parametrize(
    ("state", "failed", "words", "level"),
    [
        ("finished", 0, "Finished", "good"), ("finished", 2, "Finished with failures", "warning"),
        ("cancelled", 2, "Cancelled", "away"), ("cancelling", 0, "Being cancelled", "warning"),
    ],
)  # fmt: skip
def test_a_batchs_state_in_words(state: str, failed: int, words: str, level: str) -> None:
    shown = row(batch(state=state, failed=failed, finished_at=iso(10)), NOW)
    assert (shown.words, shown.level, shown.can_cancel, shown.took) == (words, level, False, "20 s")


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        (None, ""), ({"state": "delivered", "tries": 1, "code": None}, "told"),
        ({"state": "given_up", "tries": 5, "code": "http_500"}, "not told (http_500)"),
    ],
)  # fmt: skip
def test_what_became_of_the_callback(callback: dict[str, Any] | None, told: str) -> None:
    assert row(batch(callback=callback), NOW).callback == told


class Away:
    """Batches without a database."""

    def newest(self, *_: Any) -> Any:
        raise DatabaseUnavailable

    progress = newest


def test_without_the_database_the_list_says_so() -> None:
    away: Any = Away()
    found, error = BatchList(away).newest(1)
    assert found is None
    assert error == DatabaseUnavailable.title()
    with pytest.raises(BadParameter):
        BatchList(away).act("delete", uuid.uuid4(), "me")


def test_what_hangs_holds_up_no_page() -> None:
    over = threading.Event()
    patience: Patience[bool] = Patience(patience_s=0.05)
    for _ in range(THREADS + 2):
        with pytest.raises(DatabaseUnavailable):
            patience.ask(lambda: over.wait(DEADLINE_S))
    over.set()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            assert patience.ask(lambda: True)
            break
        assert time.monotonic() < deadline


# --- trends --------------------------------------------------------------------------------------


def history(*values: float | None) -> dict[str, Any]:
    rows = [[NOW + 600.0 * number, value] for number, value in enumerate(values)]
    return {"columns": ["time", "clone_backlog"], "rows": rows}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((100, 200), "growing by 600 an hour"), ((1000, None, 400), "falling by 1,800 an hour"),
        ((1000, 1010), "steady"), ((0, 0), "steady"),
    ],
)  # fmt: skip
def test_a_trend_in_words(values: tuple[float | None, ...], words: str) -> None:
    trend = trend_of(history(*values), "clone_backlog")
    assert trend
    assert trend.words == words
    assert len(trend.points.split()) == len([one for one in values if one is not None])


def test_no_trend_where_nothing_is_known() -> None:
    assert trend_of(history(1), "clone_backlog") is None
    assert trend_of(history(None, None), "clone_backlog") is None
    assert trend_of(history(1, 2), "peer_backlog.ic01") is None


# --- cloning -------------------------------------------------------------------------------------


class NoDatabase:
    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        raise DatabaseUnavailable
        yield


class Told:
    def answer(self, asked: HistoryRequest) -> dict[str, Any]:
        assert asked.window == "1h"
        return history(100, 50)


def cloning(folder: Path) -> CloningState:
    database: Any = NoDatabase()
    told: Any = Told()
    peers = PeerStates(folder / "peers.json")
    return Cloning(database, peers, told, AuditState(folder), lambda: NOW).state()


def test_without_the_database_peers_trend_and_audit_are_told(tmp_path: Path) -> None:
    states = PeerStates(tmp_path / "peers.json")
    states.update(PeerState("ic01", "http://ic01:5000", alive=True, last_seen=NOW - 5, backlog=7))
    states.update(PeerState("ic02", "http://ic02:5000", error="<b>no</b>", is_stopped=True))
    audit = AuditState(tmp_path)
    audit.go_to(Place(FOLDERS // 4, NOW - 7200))
    audit.add(Found(NOW - 60, "k" * 64, "damaged", "fetched"))
    state = cloning(tmp_path)
    assert (state.backlog, state.stuck, state.error) == ("unknown", [], DatabaseUnavailable.title())
    assert state.trend
    assert state.trend.words == "falling by 300 an hour"
    first, second = state.peers
    assert (first.words, first.seen, first.backlog, first.waiting) == (
        "Answers",
        "5 s ago",
        "7",
        "unknown",
    )
    assert (second.words, second.level, second.seen) == (
        "Stopped: it deletes too much",
        "bad",
        "never",
    )
    assert (state.audit.share, state.audit.words) == (
        0.25,
        "25.0% read; the last one ended 2 h ago",
    )
    assert [(one.kind, one.done, one.when) for one in state.audit.findings] == [
        ("damaged", "fetched", "1 min ago")
    ]


def test_an_audit_that_rests_and_one_that_never_began(tmp_path: Path) -> None:
    assert cloning(tmp_path).audit.words == "Has not begun yet"
    AuditState(tmp_path).go_to(Place(0, NOW - 86400 * 3))
    state = cloning(tmp_path)
    assert (state.audit.share, state.audit.words) == (None, "Rests; the last one ended 3 d ago")


def test_findings_are_bounded_and_stand_there_once(tmp_path: Path) -> None:
    audit = AuditState(tmp_path)
    for number in range(60):
        audit.add(Found(NOW + number, f"key-{number}", "damaged", "fetched"))
    audit.add(Found(NOW + 60, "key-59", "damaged", "not healed: peer_away"))
    found = audit.findings()
    assert len(found) == 50
    assert [one.key for one in found[:2]] == ["key-59", "key-58"]
    assert found[0].done == "not healed: peer_away"


# --- domains -------------------------------------------------------------------------------------


class Overview:
    """Two domains in trouble."""

    def all(self) -> list[dict[str, Any]]:
        why = {
            "code": "origin_status",
            "detail": "the origin answered <429>",
            "upstream_status": 429,
        }
        paused = {
            "domain": "shop.example", "state": "paused", "since": iso(90), "next_try": iso(-3600),
            "next_try_interactive": iso(-300), "why": why, "failures": 3, "slots": {"used": 1, "allowed": 4},
        }  # fmt: skip
        failing = paused | {"state": "failing", "next_try": None, "next_try_interactive": None}
        return [paused, failing]

    def one(self, name: str) -> dict[str, Any]:
        return {"domain": name, "slots": {"used": 2, "allowed": 8}}


def test_domains_in_trouble(tmp_path: Path) -> None:
    overview: Any = Overview()
    paused, failing = DomainTable(overview, tmp_path / "visits", lambda: NOW).troubled()
    assert (paused.words, paused.since, paused.next_try, paused.users) == (
        "Paused by the shop", "2 min ago", "in 1 h", "in 5 min",
    )  # fmt: skip
    assert (paused.slots, paused.can_try, paused.why) == (
        "1 of 4",
        True,
        "the origin answered <429>",
    )
    assert (failing.next_try, failing.can_try) == ("", False)


def test_the_slowest_domains(tmp_path: Path) -> None:
    tally = {"errors": 1, "buckets": {"21": 4}}
    kept = {"slices": [{"start": NOW, "domains": {"a.example": tally}}]}
    (tmp_path / "1.json").write_text(json.dumps(kept))
    overview: Any = Overview()
    (slow,) = DomainTable(overview, tmp_path, lambda: NOW).slowest()
    assert (slow.name, slow.visits, slow.errors, slow.slots) == (
        "a.example",
        "4",
        "1 (25.0%)",
        "2 of 8",
    )
    assert slow.p95.endswith(" s")
