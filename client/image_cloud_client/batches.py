"""A batch: URLs that a node fetches in advance."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from image_cloud_client.nodes import Node, Nodes
from image_cloud_client.options import pairs
from image_cloud_client.problems import document_of

PATH = "/fire_and_forget"
MOST_URLS = 100_000
State = dict[str, Any]
Progress = Callable[[State], object]


class Batch:
    """A batch that a node has taken.  Only this node knows it: `node` is its URL, `id` its name there.

    `accepted` is what the node said at first: accepted, already_cached, duplicates and rejected.
    """

    def __init__(self, nodes: Nodes, node: Node, accepted: State) -> None:
        self._nodes, self._node = nodes, node
        self.id = str(accepted["batch"])
        self.accepted = accepted

    @property
    def node(self) -> str:
        """Return the URL of the batch's node."""
        return self._node.base

    def __repr__(self) -> str:
        return f"Batch({self.id!r}, node={self.node!r})"

    def state(self) -> State:
        """Return how far it is: total, done, failed, waiting, failures and more (docs/prefetch.md)."""
        return self._ask("GET")

    def wait(
        self,
        progress: Progress | None = None,
        *,
        every_s: float = 1.0,
        timeout_s: float | None = None,
    ) -> State:
        """Wait for its end and return its last state; `progress` is told each state.

        Raises TimeoutError, and Unreachable where the node is away for longer than the client is patient.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            state = self.state()
            if progress is not None:
                progress(state)
            if state["state"] in ("finished", "cancelled"):
                return state
            if deadline is not None and time.monotonic() + every_s > deadline:
                raise TimeoutError(f"batch {self.id}: {state['waiting']} of {state['total']} wait")
            time.sleep(every_s)

    def failures(self) -> Iterator[State]:
        """Yield url, code and detail of each failure so far."""
        after: object = None
        while True:
            page = self._ask("GET", list_failures=True, after=after)
            yield from page["failed_urls"]
            after = page["failed_after"]
            if after is None:
                return

    def cancel(self) -> int:
        """Cancel what waits; return how many URLs that were."""
        return int(self._ask("DELETE")["cancelled"])

    def retry(self) -> int:
        """Queue its failures again; return how many there were."""
        return int(self._ask("POST", retry=True)["queued"])

    def _ask(self, method: str, **parameters: object) -> State:
        query = pairs({"batch": self.id, **parameters})
        answer, _ = self._nodes.ask(method, PATH, query, only=self._node)
        return document_of(answer, "batch")


def hand_over(nodes: Nodes, order: State) -> Batch:
    """Hand `order`, the body of a POST, to a node.  Raises ValueError for too many URLs.

    Where a node breaks off, another one is asked, so that a batch may exist twice; its pictures do not.
    """
    if len(order["urls"]) > MOST_URLS:
        raise ValueError(f"urls: {len(order['urls'])} came; a batch has at most {MOST_URLS}")
    answer, node = nodes.ask("POST", PATH, [], body=json.dumps(order).encode())
    return Batch(nodes, node, document_of(answer, "batch"))
