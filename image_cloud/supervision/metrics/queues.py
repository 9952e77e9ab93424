"""Tells Prometheus how much waits in the node's queues, and for how long.

The prefetch daemon does it now and then, as it is connected anyway.  No scrape does: a count of a million
rows takes a while.
"""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from image_cloud.db import clones, feed
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches
from image_cloud.metrics import definitions as metrics


def measure(database: Database) -> None:
    """Count what waits.  Raises DatabaseUnavailable."""
    with database.transaction() as cursor:
        _prefetch(cursor)
        _cloning(cursor)


def _prefetch(cursor: Cursor) -> None:
    backlog = batches.backlog(cursor)
    waiting = backlog.urls - backlog.under_way - backlog.later
    metrics.PREFETCH_URLS.set(waiting, "waiting")
    metrics.PREFETCH_URLS.set(backlog.under_way, "under_way")
    metrics.PREFETCH_URLS.set(backlog.later, "later")
    metrics.PREFETCH_BATCHES.set(backlog.batches)
    metrics.PREFETCH_OLDEST.set(batches.oldest_s(cursor))


def _cloning(cursor: Cursor) -> None:
    metrics.CLONE_REQUESTS.set(clones.count(cursor))
    metrics.CLONE_OLDEST.set(clones.oldest_s(cursor))
    metrics.FEED_HELD.set(feed.held(cursor).seconds)
    for peer in clones.by_peer(cursor):
        metrics.PEER_REQUESTS.set(peer.requests, peer.name)
        if peer.lag_s is not None:
            metrics.PEER_LAG.set(peer.lag_s, peer.name)
