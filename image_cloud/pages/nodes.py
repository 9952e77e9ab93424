"""The state of every node, asked for at once; nobody waits long for one that does not answer."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from image_cloud.errors import ImageCloudError
from image_cloud.pages.status import Status
from image_cloud.process.typed import fit

PATIENCE_S = 0.15
VALID_S = 1.0
LATE_S = 2.0
NETWORK = {
    "NewConnectionError": "nobody listens at its address",
    "NameResolutionError": "its name has no address",
    "ConnectTimeoutError": "no connection in time",
    "ReadTimeoutError": "no answer in time",
    "ProtocolError": "the connection broke off",
    "SSLError": "its certificate is refused",
}
Facts = dict[str, Any]
Ask = Callable[[], Facts]
Heard = Callable[[], dict[str, float | None]]


@dataclasses.dataclass(frozen=True)
class NodeState:
    """What is known of one node: its last answer and its age, and why there is no newer one.

    Without `status` and `error` its first answer is still to come.  `url` is empty for this node itself.
    `last_seen` is when anybody heard of it, seconds since 1970.
    """

    name: str
    url: str
    status: Status | None
    age_s: float = 0.0
    error: str = ""
    last_seen: float | None = None


class Nodes:
    """Asks `this`, a node's name and what reads its state, and the `others`: names, URLs, questions.

    `heard` returns when this node last heard of each of the others, by name.
    """

    def __init__(
        self, this: tuple[str, Ask], others: list[tuple[str, str, Ask]], heard: Heard = dict
    ) -> None:
        self._nodes = [_Node(this[0], "", this[1]), *(_Node(*other) for other in others)]
        self._heard = heard

    def states(self) -> list[NodeState]:
        """Return the state of each, by name, as far as it is known after PATIENCE_S."""
        asked = [running for node in self._nodes if (running := node.ask())]
        concurrent.futures.wait(asked, PATIENCE_S)
        states, heard = [node.state() for node in self._nodes], self._heard()
        seen = (_seen(one, states, heard.get(one.name)) for one in states)
        return sorted(seen, key=lambda state: state.name)


def _seen(state: NodeState, states: list[NodeState], heard: float | None) -> NodeState:
    """Return `state` with the last time that it, this node (`heard`) or another one knows of."""
    told = [one.status for one in states if one.status]
    times = [peer.last_seen for one in told for peer in one.peers if peer.name == state.name]
    times += [heard, state.status.at if state.status else None]
    return dataclasses.replace(state, last_seen=max((one for one in times if one), default=None))


def in_words(reason: str) -> str:
    """Return why a node does not answer; of the network's errors only the name is known."""
    last = reason.rpartition(": ")[2]
    return NETWORK.get(last, last)


class _Node:
    """One node, with a thread of its own: a question that hangs holds nobody up."""

    def __init__(self, name: str, url: str, question: Ask) -> None:
        self._name, self._url, self._question = name, url, question
        self._mutex = threading.Lock()
        self._running: Future[None] | None = None
        self._status: Status | None = None
        self._asked = self._answered = self._ended = float("-inf")
        self._error = ""

    def ask(self) -> Future[None] | None:
        """Return the question that is under way, None where the last answer is new."""
        with self._mutex:
            if self._running is None and time.monotonic() - self._ended > VALID_S:
                self._asked = time.monotonic()
                self._running = self._thread.submit(self._look)
            return self._running

    def state(self) -> NodeState:
        """Return what is known."""
        with self._mutex:
            now = time.monotonic()
            age_s = now - self._answered if self._status else 0.0
            is_late = self._running is not None and now - self._asked > LATE_S
            error = self._error or (NETWORK["ReadTimeoutError"] if is_late else "")
            return NodeState(self._name, self._url, self._status, age_s, error)

    @functools.cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """Made when it is first needed: threads do not live through a fork."""
        return ThreadPoolExecutor(1, f"state-of-{self._name}")

    def _look(self) -> None:
        status, error = None, ""
        try:
            status = fit(Status, self._question())
        except ImageCloudError as refused:
            error = in_words(refused.detail)
        except (ValueError, KeyError):
            error = f"{self._name} sent a malformed state"
        with self._mutex:
            self._running, self._ended, self._error = None, time.monotonic(), error
            if status:
                self._status, self._answered = status, self._ended
