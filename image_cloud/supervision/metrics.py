"""This node's state and traffic as Prometheus text."""

from __future__ import annotations

import collections
import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from image_cloud.cluster.peer_states import PeerStates
from image_cloud.config.sections import Pools
from image_cloud.db import clones, prefetch_batches
from image_cloud.db.connect import Database
from image_cloud.decoding.client import Decoder
from image_cloud.errors import DatabaseUnavailable
from image_cloud.politeness.breaker import Domains
from image_cloud.process import traffic
from image_cloud.storage.files import count_in
from image_cloud.supervision.readiness import OK, Readiness

MOST_DOMAINS = 1000


class NodeMetrics:
    """Counts by nginx's access log (the janitor adds them up) and the state of right now.

    `storage` and `run` are the folders of pictures, and of counters and sockets.
    """

    def __init__(
        self,
        readiness: Readiness,
        storage: Path,
        run: Path,
        decoder: Decoder,
        pools: Pools,
        domains: Domains,
        database: Database,
        peers: PeerStates,
    ) -> None:
        self._readiness = readiness
        self._storage = storage
        self._counters = run / "pools" / "traffic.json"
        self._decoder = decoder
        self._pools = pools
        self._domains = domains
        self._database = database
        self._peers = peers

    def text(self) -> str:
        """Return all metrics in the text format of Prometheus."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        seen = traffic.load(self._counters)
        yield from _metric(
            "responses_total", "counter", "Answers by status.", "status", seen.statuses
        )
        yield from _metric(
            "pictures_total", "counter", "Pictures by where they came from.", "cache", seen.caches
        )
        yield from _metric("sent_bytes_total", "counter", "Bytes sent.", "", {"": seen.bytes})
        states = self._readiness.state() | self._readiness.pools()
        up = {part: int(state == OK) for part, state in states.items()}
        yield from _metric("up", "gauge", "1 where the part works.", "part", up)
        yield from self._of_pools()
        unrecorded = {"": count_in(self._storage / "unrecorded")}
        yield from _metric(
            "unrecorded_originals",
            "gauge",
            "Originals that the database does not know.",
            "",
            unrecorded,
        )
        stopped = {state.name: int(state.is_stopped) for state in self._peers.read().values()}
        yield from _metric(
            "feed_stopped", "gauge", "1 where a peer deletes too much.", "peer", stopped
        )
        yield from self._prefetch(bool(up["database"]))

    def _of_pools(self) -> Iterator[str]:
        """Report how busy the pools are; of the decoder nothing while it is away."""
        running = {"fetch": count_in(self._storage / "incoming")}
        limits = {"fetch": self._pools.fetch_queue}
        status = self._decoder.status()
        if status:
            running["decoder"] = sum(
                status[state] for state in ("running", "waiting", "waiting_prefetch")
            )
            limits["decoder"] = status["workers"] + self._pools.resize_queue
        yield from _metric("pool_running", "gauge", "Requests at work.", "pool", running)
        yield from _metric(
            "pool_limit", "gauge", "Most requests, waiting ones included.", "pool", limits
        )
        ends = (
            {end: status[end] for end in ("done", "deaths", "kills", "refused")} if status else {}
        )
        yield from _metric(
            "decoder_pictures_total", "counter", "What became of pictures.", "end", ends
        )

    def _prefetch(self, database_answers: bool) -> Iterator[str]:
        """Report paused domains and the length of the queues."""
        now = time.time()
        states: dict[str, int] = collections.Counter()
        left_s: dict[str, int] = {}
        for trouble in itertools.islice(self._domains.troubles(), MOST_DOMAINS):
            states[trouble.state(now)] += 1
            left_s[trouble.domain] = max(0, round(trouble.until - now))
        yield from _metric("domains", "gauge", "Troubled domains by state.", "state", states)
        yield from _metric(
            "domain_pause_seconds", "gauge", "Time until a domain is asked again.", "domain", left_s
        )
        if database_answers:
            with contextlib.suppress(DatabaseUnavailable), self._database.transaction() as cursor:
                backlog = prefetch_batches.backlog(cursor)
                waiting = {"waiting": backlog.urls, "under_way": backlog.under_way}
                yield from _metric("prefetch_urls", "gauge", "The queue.", "state", waiting)
                left = {"": clones.count(cursor)}
                yield from _metric("clone_requests", "gauge", "Pictures to clone.", "", left)


def _metric(name: str, kind: str, help: str, label: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# HELP image_cloud_{name} {help}"
    yield f"# TYPE image_cloud_{name} {kind}"
    for key, value in sorted(values.items()):
        labels = f'{{{label}="{key}"}}' if label else ""
        yield f"image_cloud_{name}{labels} {value}"
