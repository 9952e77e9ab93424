"""What a follower makes of a peer's answers, sound or not, without network and database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.peer_clone.follower import Follower
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.peer_states import PeerStates
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.db import catalog, clones
from image_cloud.errors import PeerAway
from image_cloud.picture.key import key_of
from tests.storage import new_store

URL = "http://shop.example/a.jpg"
STORED = {
    "key": key_of(URL), "url": URL, "host": "shop.example", "format": "jpeg", "width": 1,
    "height": 1, "bytes": 3, "sha256": "0" * 64, "stored_at": 10.0, "deleted_at": None,
    "blocked": False,
}  # fmt: skip


class Peers:
    """Answers what it is given, once each; then it is away."""

    def __init__(self, *answers: Any) -> None:
        self.placement = Placement("ic00", ["ic01"], 0)
        self._answers = list(answers)

    def changes(self, peer: Peer, cursor: str, limit: int, wait_s: float) -> Any:
        if not self._answers:
            raise PeerAway("gone")
        return self._answers.pop(0)


class Database:
    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        yield None


class Kept:
    """Stands for the queries: what was added, buried and saved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.added: list[str] = []
        self.cursor = ""
        patch = monkeypatch.setattr
        patch(clones, "cursor_of", lambda cursor, name: self.cursor)
        patch(clones, "wake", lambda cursor: None)
        patch(clones, "add", lambda c, changes, p: self.added.extend(x.url for x in changes))
        patch(clones, "save_cursor", lambda c, n, u, position, b, **more: self._save(position))
        patch(catalog, "bury", lambda cursor, tombstones, now: None)

    def _save(self, position: str) -> None:
        self.cursor = position


def page(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "now": 0.0, "cursor": "c1", "more": False, "backlog": 2, "read": {}, "accepts_deletes": True,
        "held": {"seconds": 0.0}, "changes": list(changes), **more,
    }  # fmt: skip


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(monkeypatch)


def follow(folder: Path, *answers: Any) -> tuple[Follower, PeerStates, list[str]]:
    store, states, told = new_store(folder), PeerStates(folder / "peers.json"), list[str]()
    return (
        Follower(
            Peer("ic01", "http://ic01"), Peers(*answers), store, Database(), None,
            ClusterClock(folder / "clock.json"), states, poll_s=0,
            on_work=lambda: told.append("work"), on_caught_up=told.append,
        ),
        states,
        told,
    )  # fmt: skip


def test_a_stored_picture_is_queued_and_the_cursor_moves(kept: Kept, tmp_path: Path) -> None:
    follower, states, told = follow(tmp_path, page(STORED, backlog=3))
    assert follower.step()
    assert (kept.added, kept.cursor, told) == ([URL], "c1", ["work", "ic01"])
    state = states.read()["ic01"]
    assert (state.alive, state.backlog, state.accepts_deletes) == (True, 3, True)


def test_what_a_newer_version_tells_on_top_is_passed_over(kept: Kept, tmp_path: Path) -> None:
    follower, _, _ = follow(tmp_path, page({**STORED, "colour": "red"}, mood="good"))
    follower.step()
    assert kept.added == [URL]


@pytest.mark.parametrize(
    "wrong",
    [{"key": "0" * 64}, {"host": "other.example"}, {"url": "ftp://x/"}, {"format": "exe"},
     {"sha256": None}, {"bytes": None}, {"stored_at": None}, {"blocked": None}],
)  # fmt: skip
def test_a_row_without_sense_is_passed_over(
    kept: Kept, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    follower, _, _ = follow(tmp_path, page({**STORED, **wrong}, STORED))
    follower.step()
    assert kept.added == [URL]


@pytest.mark.parametrize("answer", [{}, {"changes": None}, page(backlog="many"), page(now="noon")])
def test_an_answer_without_sense_moves_nothing(kept: Kept, tmp_path: Path, answer: Any) -> None:
    follower, states, told = follow(tmp_path, answer)
    assert not follower.step()
    assert (kept.added, kept.cursor, told) == ([], "", [])
    assert not states.read()["ic01"].alive


def test_a_peer_that_goes_is_not_alive_any_more(kept: Kept, tmp_path: Path) -> None:
    follower, states, _ = follow(tmp_path, page())
    follower.step()
    assert states.read()["ic01"].alive
    assert not follower.step()
    assert (states.read()["ic01"].alive, states.read()["ic01"].error) == (False, "gone")
