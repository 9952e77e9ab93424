"""Which nodes keep a picture: rendezvous hashing, which every node computes alike."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence


class Placement:
    """Spreads keys over nodes, `replicas` copies each; 0 means a copy on every node.

    `own` is this node's name, `peers` are the others'.
    """

    def __init__(self, own: str, peers: Sequence[str], replicas: int) -> None:
        self.own = own
        self.nodes = tuple(sorted({own, *peers}))
        self.replicas = replicas if 0 < replicas < len(self.nodes) else 0

    @property
    def is_limited(self) -> bool:
        """Say whether some pictures need not be here."""
        return self.replicas > 0

    @property
    def fingerprint(self) -> str:
        """Return a text that differs when pictures belong elsewhere than before."""
        return f"{self.replicas}:{','.join(self.nodes)}" if self.is_limited else ""

    def owners(self, key: str) -> tuple[str, ...]:
        """Return the nodes that keep `key`, the first choice first."""
        if not self.is_limited:
            return self.nodes
        return tuple(sorted(self.nodes, key=lambda node: weight(key, node), reverse=True))[
            : self.replicas
        ]

    def owns(self, key: str) -> bool:
        """Say whether this node keeps `key`."""
        return not self.is_limited or self.own in self.owners(key)

    def sees_to(self, key: str, alive: Collection[str]) -> bool:
        """Say whether it is this node that looks after `key` alone, of itself and the `alive` ones."""
        there = [node for node in self.owners(key) if node == self.own or node in alive]
        return max(there, key=lambda node: weight(key, node), default=self.own) == self.own


def weight(key: str, node: str) -> bytes:
    """Return how strongly `node` bids for `key`; a node's coming or going changes no other's bid."""
    return hashlib.blake2b(f"{node}:{key}".encode(), digest_size=8).digest()
