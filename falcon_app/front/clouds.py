"""GET /alternative_clouds: the other nodes and their state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import falcon

from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.config.fields import Peer


class AlternativeClouds:
    """GET /alternative_clouds.

    `states` holds what the follower wrote about each peer.
    """

    scope = "read"

    def __init__(self, node: str, peers: Sequence[Peer], states: PeerStates) -> None:
        self._node = node
        self._peers = peers
        self._states = states

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List them in the order of the ini."""
        states = self._states.read()
        clouds = [
            _describe(peer, states.get(peer.name, PeerState(peer.name, peer.url)))
            for peer in self._peers
        ]
        resp.media = {"node": self._node, "alternative_clouds": clouds}
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get


def _describe(peer: Peer, state: PeerState) -> dict[str, object]:
    seen = state.last_seen
    return {
        "name": peer.name,
        "url": peer.url,
        "alive": state.is_alive(time.time()),
        "last_seen": datetime.fromtimestamp(seen, UTC).isoformat() if seen else None,
        "backlog": state.backlog,
    }
