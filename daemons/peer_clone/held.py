"""What the owners of pictures have, asked for many at once."""

from __future__ import annotations

from collections.abc import Sequence

from image_cloud.bulk.receiving import Samples
from image_cloud.cluster.peers import Peers
from image_cloud.config.fields import Peer
from image_cloud.errors import BadParameter, Busy, PeerAway
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url


class Held:
    """Asks each peer, once and when it is needed, which of those `records` it has that belong to it."""

    def __init__(self, peers: Peers, records: Sequence[Record]) -> None:
        self._peers = peers
        self._records = records
        self._held: dict[str, set[str]] = {}  # keys by the peer's name

    def by_owners(self, record: Record) -> bool:
        """Say whether every owner has exactly this picture; one that does not answer has not."""
        owners = self._peers.placement.owners(record.key)
        return all(record.key in self._by(peer) for peer in self._peers.all if peer.name in owners)

    def _by(self, peer: Peer) -> set[str]:
        if peer.name not in self._held:
            try:
                self._held[peer.name] = self._ask(peer)
            except (PeerAway, Busy, BadParameter):
                self._held[peer.name] = set()
        return self._held[peer.name]

    def _ask(self, peer: Peer) -> set[str]:
        placement = self._peers.placement
        wanted = {one.key: one for one in self._records if peer.name in placement.owners(one.key)}
        keys = list(wanted)
        with self._peers.originals(peer, keys, records_only=True) as blocks:
            if blocks is not None:
                samples = Samples(
                    blocks, keys, peer.name, wanted_bytes=0, most_bytes=0, records_only=True
                )
                return {
                    one.key
                    for one in samples
                    if one.record and one.record.sha256 == wanted[one.key].sha256
                }
        # Of the release before: one by one.
        return {
            key
            for key, one in wanted.items()
            if self._peers.has(peer, Url.parse(one.url), one.sha256)
        }
