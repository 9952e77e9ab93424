"""Explains one URL from this node and all peers at once, in less than a second whoever is away."""

from __future__ import annotations

import concurrent.futures
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from image_cloud.cluster.peers import Peers
from image_cloud.errors import ImageCloudError
from image_cloud.explain.disk import Facts
from image_cloud.explain.here import Here, together
from image_cloud.picture.url import Url

PATIENCE_S = 0.8  # for the database and for each peer
AT_A_PEER_S = 0.5  # for a peer's own database: it has to answer in time


class Everywhere:
    """Asks `here` and `peers`; a thread for each question, none of which anybody waits for too long."""

    def __init__(self, here: Here, peers: Peers) -> None:
        self._here = here
        self._peers = peers

    def explain(self, url: Url, *, local: bool, database_s: float = PATIENCE_S) -> Facts:
        """Return what is known of `url`; without `local` with what the peers say, by their names.

        A person who waits for a page gives this node's database `database_s` at most.
        """
        began = time.monotonic()
        peers = () if local else self._peers.all
        executor = ThreadPoolExecutor(len(peers) + 1, "explain")
        try:
            rows = executor.submit(self._here.rows, url)
            asked = {
                peer.name: executor.submit(copy_context().run, self._peers.explain, peer, url)
                for peer in peers
            }
            facts = self._here.without_database(url)
            patience_s = AT_A_PEER_S if local else PATIENCE_S
            _wait([rows], began + min(database_s, patience_s))
            _wait(list(asked.values()), began + patience_s)
            whole = _of_rows(facts, rows)
            if not local:
                whole["peers"] = {name: _answer(one) for name, one in asked.items()}
            return whole
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _wait(futures: list[Future[Facts]], until: float) -> None:
    concurrent.futures.wait(futures, max(until - time.monotonic(), 0.0))


def _of_rows(facts: Facts, rows: Future[Facts]) -> Facts:
    answer = _answer(rows)
    return together(facts, None, answer["error"]) if "error" in answer else together(facts, answer)


def _answer(future: Future[Facts]) -> Facts:
    """Return what came, or `{"error": ...}`."""
    if not future.done():
        return {"error": "no answer in time"}
    try:
        return future.result()
    except ImageCloudError as error:
        return {"error": error.detail}
