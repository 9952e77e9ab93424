"""What nodes acknowledged, and how it compares with what each of them has in the end."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Sequence

from tests.cluster.nodes import Node

GONE = {404, 410}


class Ledger:
    """Stores and deletes by URL, for any number of threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._stored: dict[str, str] = {}
        self._tried: set[str] = set()
        self._deleted: set[str] = set()

    def store(self, url: str, content: bytes) -> None:
        """Note that `url` was said to be stored."""
        with self._mutex:
            self._stored[url] = hashlib.sha256(content).hexdigest()

    def pick(self, rng: random.Random) -> tuple[str, str] | None:
        """Return URL and SHA-256 of a picture that nobody tried to delete."""
        with self._mutex:
            kept = [url for url in self._stored if url not in self._tried]
            url = rng.choice(kept) if kept else None
            return (url, self._stored[url]) if url else None

    def take(self, rng: random.Random) -> str | None:
        """Return a URL to delete; `pick` returns it no more, whatever becomes of it."""
        picked = self.pick(rng)
        with self._mutex:
            self._tried |= {picked[0]} if picked else set()
        return picked[0] if picked else None

    def is_kept(self, url: str) -> bool:
        """Say whether nobody has tried to delete `url`."""
        with self._mutex:
            return url not in self._tried

    def delete(self, url: str) -> None:
        """Note that `url` was said to be deleted."""
        with self._mutex:
            self._deleted.add(url)

    def kept(self) -> dict[str, str]:
        """Return the SHA-256 by URL of what must be everywhere.

        A delete without an answer may go either way.
        """
        with self._mutex:
            return {url: sha for url, sha in self._stored.items() if url not in self._tried}

    def deleted(self) -> set[str]:
        """Return the URLs of what must be nowhere."""
        with self._mutex:
            return set(self._deleted)

    def differences(self, nodes: Sequence[Node]) -> list[str]:
        """Return what is wrong at which node."""
        wrong = [
            f"{node.name} lacks {url}: {said}"
            for node in nodes
            for url, sha in self.kept().items()
            if (said := _read(node, url)) != sha
        ]
        return wrong + [
            f"{node.name} kept {url}: {status}"
            for node in nodes
            for url in sorted(self.deleted())
            if (status := _status(node, url)) not in GONE
        ]

    def summary(self) -> str:
        """Say how much there is to compare."""
        with self._mutex:
            return f"{len(self._stored)} stores, {len(self._deleted)} deletes"


def _read(node: Node, url: str) -> str:
    answer = node.get(url, only_send_if_local="true")
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:200]}"
    return hashlib.sha256(answer.content).hexdigest()


def _status(node: Node, url: str) -> int:
    return node.get(url, only_send_if_local="true").status_code
