"""What a follower makes of a peer's answers, sound or not; the peer is stood in for."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemons.peer_clone.follower import Follower
from image_cloud.cluster.deletes import Deletes
from image_cloud.cluster.peer_states import PeerState
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Database as Settings
from image_cloud.db import clones
from image_cloud.errors import PeerAway
from image_cloud.node import Node
from tests.cloning import change, keep, picture
from tests.node import new_node

PICTURE = picture(1)
STORED = dataclasses.asdict(change(PICTURE))
EPOCH = "3f1ac1de-1111-4222-8333-444455556666"
PEER = Peer("ic01", "http://ic01")


class Peers:
    """Gives one answer after the other; then it is away."""

    def __init__(self, *answers: Any) -> None:
        self.placement = Placement("ic00", ["ic01"], 0)
        self._answers = list(answers)
        self.during: Callable[[], object] = lambda: None
        self.polls_ended = threading.Event()

    def changes(self, peer: Peer, cursor: str, limit: int, wait_s: float) -> Any:
        self.during()
        if not self._answers:
            raise PeerAway("gone")
        return self._answers.pop(0)

    def end_polls(self) -> None:
        self.polls_ended.set()


def page(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "now": 0.0, "cursor": f"{EPOCH}.7.7", "more": False, "backlog": 2, "read": {},
        "accepts_deletes": True, "held": {"seconds": 0.0}, "changes": list(changes), **more,
    }  # fmt: skip


class Following:
    """A follower, and what came of its steps."""

    def __init__(self, folder: Path, settings: Settings, *answers: Any) -> None:
        brake = "cluster.most_deletes_per_hour=2"
        self.node: Node = new_node(folder, brake, settings)
        self.peers = Peers(*answers)
        self.told: list[str] = []
        self.expected: list[tuple[str, int, list[str]]] = []
        self.goes_on = True
        node = self.node
        deletes = Deletes(node.store, node.failures, node.database, node.clock)
        self.follower = Follower(
            PEER, self.peers, node.store, node.database, deletes, node.brake, node.clock,
            node.peer_states,
            poll_s=0, on_queue=self.on_queue, on_work=lambda: self.told.append("work"),
            on_caught_up=self.told.append, go_on=lambda: self.goes_on,
        )  # fmt: skip

    def on_queue(self, peer: str, requests: int) -> None:
        """Note what others see at this moment, too."""
        self.expected.append((peer, requests, self.queued()))

    def queued(self) -> list[str]:
        with self.node.database.transaction() as cursor:
            cursor.execute("SELECT key FROM clone_requests ORDER BY stored_at")
            return [row[0] for row in cursor.fetchall()]

    def cursor(self) -> str:
        with self.node.database.transaction() as cursor:
            return clones.cursor_of(cursor, PEER.name)

    def state(self) -> PeerState:
        return self.node.peer_states.read()[PEER.name]


@pytest.fixture
def follow(tmp_path: Path, settings: Settings) -> Callable[..., Following]:
    return lambda *answers: Following(tmp_path, settings, *answers)


def test_a_stored_picture_is_queued_and_the_cursor_moves(follow: Callable[..., Following]) -> None:
    following = follow(page(STORED, backlog=3))
    assert following.follower.step()
    assert following.queued() == [PICTURE.key]
    assert following.cursor() == f"{EPOCH}.7.7"
    assert following.told == ["work", "ic01"]
    assert following.expected == [("ic01", 1, [])]
    state = following.state()
    assert (state.alive, state.backlog, state.accepts_deletes) == (True, 3, True)


def test_a_delete_holds_here_before_the_cursor_moves(follow: Callable[..., Following]) -> None:
    deleted = {**STORED, "deleted_at": 5000.0}
    following = follow(page(deleted))
    keep(following.node.store, PICTURE)
    following.follower.step()
    assert following.node.store.originals.find(PICTURE.key) is None
    assert following.node.store.tombstones.find(PICTURE.key)
    assert following.queued() == []
    assert list(following.node.store.tombstones.unrecorded()) == []
    assert following.cursor() == f"{EPOCH}.7.7"


def test_what_a_newer_version_tells_on_top_is_passed_over(
    follow: Callable[..., Following],
) -> None:
    following = follow(page({**STORED, "colour": "red"}, mood="good"))
    following.follower.step()
    assert following.queued() == [PICTURE.key]


@pytest.mark.parametrize(
    "wrong",
    [{"key": "0" * 64}, {"host": "other.example"}, {"url": "ftp://x/"}, {"format": "exe"},
     {"sha256": None}, {"bytes": None}, {"stored_at": None}, {"blocked": None},
     {"stored_at": 253402300799.0}, {"deleted_at": 253402300799.0}, {"deleted_at": 1e300},
     {"deleted_at": time.time() + 8 * 86400}, {"stored_at": time.time() + 8 * 86400},
     {"stored_at": -1.0}, {"deleted_at": "soon"}, {"bytes": 2**63}, {"width": 2**31},
     {"height": [1]}, {"sha256": "xyz"}, {"format": ["jpeg"]}, {"url": 7}, {"key": {}}],
)  # fmt: skip
def test_a_malformed_row_is_passed_over(
    follow: Callable[..., Following], wrong: dict[str, Any]
) -> None:
    following = follow(page({**STORED, **wrong}, STORED))
    following.follower.step()
    assert following.queued() == [PICTURE.key]
    assert following.state().alive
    assert following.state().error.startswith("a change was refused: ")


@pytest.mark.parametrize("row", [None, 7, [], "x", {}])
def test_a_row_that_is_no_object_is_passed_over(follow: Callable[..., Following], row: Any) -> None:
    following = follow(page(row, STORED))
    following.follower.step()
    assert following.queued() == [PICTURE.key]
    assert following.cursor() == f"{EPOCH}.7.7"


@pytest.mark.parametrize(
    "answer",
    [{}, {"changes": None}, page(backlog="many"), page(now="noon"), page(cursor="c1"),
     page(read={"ic00": "x"}), page(held=None), page(more=1)],
)  # fmt: skip
def test_a_malformed_answer_moves_nothing(follow: Callable[..., Following], answer: Any) -> None:
    following = follow(answer)
    assert not following.follower.step()
    assert (following.queued(), following.cursor(), following.told) == ([], "", [])
    state = following.state()
    assert (state.alive, state.error) == (False, "malformed response")


def test_a_peer_that_goes_is_not_alive_any_more(follow: Callable[..., Following]) -> None:
    following = follow(page())
    following.follower.step()
    assert following.state().alive
    assert not following.follower.step()
    assert (following.state().alive, following.state().error) == (False, "gone")


def test_a_poll_that_we_end_ourselves_says_nothing_of_the_peer(
    follow: Callable[..., Following],
) -> None:
    following = follow(page())
    following.follower.step()
    following.goes_on = False  # SIGTERM
    following.follower.wake()
    assert following.peers.polls_ended.is_set()
    assert not following.follower.step()
    assert following.state().alive


def test_an_answer_that_came_is_taken_though_sigterm_came_too(
    follow: Callable[..., Following],
) -> None:
    following = follow(page(STORED))
    following.peers.during = lambda: setattr(following, "goes_on", False)
    following.follower.step()
    assert following.queued() == [PICTURE.key]
    assert following.cursor() == f"{EPOCH}.7.7"


def test_a_feed_that_deletes_too_much_is_stopped_until_an_operator_says_go(
    follow: Callable[..., Following],
) -> None:
    there = [picture(number) for number in range(4)]
    deletes = [{**dataclasses.asdict(change(one)), "deleted_at": 5000.0} for one in there]
    absent = {**dataclasses.asdict(change(picture(9))), "deleted_at": 5000.0}
    following = follow(
        page(*deletes[:2], absent, absent), page(deletes[2], STORED), page(deletes[2], STORED),
        page(*deletes[2:], cursor=f"{EPOCH}.8.8"),
    )  # fmt: skip
    store = following.node.store
    for one in there:
        keep(store, one)
    following.follower.step()
    assert [store.originals.find(one.key) is None for one in there] == [True, True, False, False]
    for _ in range(2):
        assert not following.follower.step()
        assert following.cursor() == f"{EPOCH}.7.7"
        assert store.originals.find(there[2].key)
    state = following.state()
    assert (state.alive, state.is_stopped) == (True, True)
    assert "more than 2 pictures an hour" in state.error
    Node(following.node.config).brake.permit(PEER.name)  # another process
    following.follower.step()
    assert not any(store.originals.find(one.key) for one in there)
    assert following.cursor() == f"{EPOCH}.8.8"
    state = following.state()
    assert (state.is_stopped, state.error) == (False, "")
