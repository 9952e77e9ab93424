"""What the cloning daemon knows of each peer."""

from __future__ import annotations

import time

from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.metrics.definitions import (
    FEED_STOPPED,
    PEER_ALIVE,
    PEER_BACKLOG,
    PEER_FEED_HELD,
    PEER_SILENT,
)
from image_cloud.metrics.exposition import States


def peers(states: PeerStates) -> States:
    """Return the state of each peer, as its file tells."""
    now, known = time.time(), list(states.read().values())
    return {
        PEER_ALIVE: {(one.name,): int(one.is_alive(now)) for one in known},
        PEER_SILENT: {(one.name,): _silent_s(one, now) for one in known if one.last_seen},
        PEER_BACKLOG: {(one.name,): one.backlog for one in known if one.backlog is not None},
        PEER_FEED_HELD: {(one.name,): one.held_s for one in known},
        FEED_STOPPED: {(one.name,): int(one.is_stopped) for one in known},
    }


def _silent_s(state: PeerState, now: float) -> float:
    return max(0.0, round(now - (state.last_seen or 0.0), 1))
