"""Asks the other nodes: their change feeds and their pictures.  Addresses are the ini's, not guarded."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from image_cloud.cluster.health import Health
from image_cloud.cluster.heard import MOST_AHEAD_S, read_change, record_of, rows_of
from image_cloud.cluster.placement import Placement
from image_cloud.config.fields import Peer
from image_cloud.config.sections import Cluster
from image_cloud.errors import (
    Blocked,
    Busy,
    CorruptImage,
    NotLocal,
    PeerAway,
    PeerBroken,
    TooManyBytes,
)
from image_cloud.picture.headers import http_date
from image_cloud.picture.record import Record, check_time
from image_cloud.picture.url import Url
from image_cloud.process import json_file
from image_cloud.process.log_formats import NO_ID, current_id
from image_cloud.process.reread import Reread
from image_cloud.request.steps import PARENT_ID, PRIVATE, SHA256, STORED_AT

if TYPE_CHECKING:
    from image_cloud.cluster.exchange import Answer, Exchange

log = logging.getLogger(__name__)

Write = Callable[[bytes], object]

LONGEST_TRANSFER_S = 600.0
MOST_FEED_BYTES, LONGEST_FEED_S = 32 << 20, 60.0
MOST_EXPLAINED_BYTES = MOST_STATUS_BYTES = 1 << 20
STREAMS = "/originals"
LONGEST_STREAM_S = 600.0
BUSY, NO_STREAMS = (429, 503), (404, 405)
BUSY_S, LONGEST_BUSY_S = 1.0, 30.0


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a peer sent: SHA-256 of the bytes, and when it was stored (None: it does not know).

    `is_private` says that credentials were sent to the origin for it.
    """

    sha256: str
    stored_at: float | None
    is_private: bool = False


class Peers:
    """The other nodes, for any number of threads.

    `own` is this node's name: it is never asked.
    """

    def __init__(
        self, own: str, settings: Cluster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.all = tuple(peer for peer in settings.peers if peer.name != own)
        self.placement = Placement(own, [peer.name for peer in self.all], settings.replicas)
        self._settings = settings
        self._health = {peer.name: Health(clock) for peer in self.all}
        self._token = Reread(Path(settings.token_file), _token_of, "", "peer_token")
        self._exchange = _exchange(self.all, settings) if self.all else None

    def candidates(self, key: str, first: str = "") -> list[Peer]:
        """Return the peers that are worth asking for `key`: `first`, then owners, then the rest."""
        owners = self.placement.owners(key)
        ranks = {name: rank for rank, name in enumerate(owners)}
        order = sorted(
            self.all, key=lambda peer: (peer.name != first, ranks.get(peer.name, len(ranks)))
        )
        return [peer for peer in order if self._health[peer.name].may_ask()]

    def changes(self, peer: Peer, cursor: str, limit: int, wait_s: float) -> dict[str, Any]:
        """Return the next part of a peer's feed, as it sent it.  Raises PeerAway."""
        address = f"/changes?cursor={quote(cursor)}&limit={limit}&wait={wait_s:g}"
        return self._json(peer, address, poll_s=wait_s)

    def explain(self, peer: Peer, url: Url) -> dict[str, Any]:
        """Return what the peer knows of `url`, as it sent it.  Raises PeerAway."""
        return self._json(
            peer, f"/explain?local=true&url={quote(url.text, safe='')}", MOST_EXPLAINED_BYTES
        )

    def node_status(self, peer: Peer) -> dict[str, Any]:
        """Return how the peer is, as it sent it.  Raises PeerAway."""
        return self._json(peer, "/node_status", MOST_STATUS_BYTES)

    def end_polls(self) -> None:
        """Have every call of `changes` break off, now and from now on: they raise PeerAway."""
        if self._exchange:
            self._exchange.end_polls()

    def _json(
        self,
        peer: Peer,
        address: str,
        most_bytes: int = MOST_FEED_BYTES,
        *,
        poll_s: float | None = None,
    ) -> dict[str, Any]:
        path = address.partition("?")[0]
        with self._answer(peer, "GET", address, poll_s=poll_s) as response:
            if response.status != 200:
                raise _away(peer, f"{path} said {response.status}")
            body = response.read(most_bytes, LONGEST_FEED_S)
        try:
            content = json_file.parse(body)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise _away(peer, f"{path} sent no JSON object")
        return content

    def find_record(self, peer: Peer, key: str) -> Record | None:
        """Return what the peer's feed tells of one key.  Raises PeerAway."""
        answer = self._json(peer, f"/changes?key={key}")
        try:
            changes = [read_change(row, time.time()) for row in rows_of(answer)[:1]]
        except ValueError as error:
            raise _away(peer, f"/changes sent {error}") from None
        if not changes or changes[0].deleted_at is not None or changes[0].key != key:
            return None
        return record_of(changes[0], peer.name)

    def has(self, peer: Peer, url: Url, sha256: str) -> bool:
        """Return whether the peer has exactly this picture.  Raises PeerAway."""
        with self._answer(peer, "HEAD", _picture(url)) as response:
            response.drain()
        if response.status not in (200, 404, 410):
            raise _away(peer, f"/get_image said {response.status}")
        return response.status == 200 and response.headers.get(SHA256) == sha256

    def fetch(self, peer: Peer, url: Url, write: Write) -> Sent:
        """Hand the peer's copy of `url` to `write`, block by block.

        Raises NotLocal and Blocked as the peer says, PeerAway, TooManyBytes, CorruptImage where
        the bytes are not those that it recorded, and what `write` raises.
        """
        with self._answer(peer, "GET", _picture(url)) as response:
            _check_status(peer, response)
            sent = self._copy(peer, response, write)
        if response.headers.get(SHA256, sent.sha256) != sent.sha256:
            raise CorruptImage(f"the copy at {peer.name} is damaged")
        return sent

    def _copy(self, peer: Peer, response: Answer, write: Write) -> Sent:
        stored_at = _stored_at(peer, response)
        digest, size = hashlib.sha256(), 0
        for block in response.blocks(LONGEST_TRANSFER_S):
            size += len(block)
            if size > self._settings.max_bytes:
                raise TooManyBytes(f"the copy at {peer.name} is too large")
            digest.update(block)
            write(block)
        return Sent(digest.hexdigest(), stored_at, PRIVATE in response.headers)

    def may_ask(self, peer: Peer) -> bool:
        """Say whether the peer is worth asking; after a rest, for one caller only."""
        return self._health[peer.name].may_ask()

    def is_away(self, peer: Peer) -> bool:
        """Say whether the peer did not answer when it was asked last."""
        return self._health[peer.name].is_away()

    @contextlib.contextmanager
    def originals(
        self, peer: Peer, keys: Sequence[str], *, records_only: bool = False
    ) -> Iterator[Iterator[bytes] | None]:
        """Give the stream of the originals of `keys` (image_cloud/bulk); None: the peer knows no streams.

        Raises Busy where the peer has no place for one now, PeerAway, and what the block raises.
        """
        body = "\n".join(keys).encode()
        address = f"{STREAMS}?records_only=true" if records_only else STREAMS
        with self._answer(peer, "POST", address, body=body) as response:
            if response.status == 200:
                yield response.blocks(LONGEST_STREAM_S)
                return
            response.drain()
            if response.status in BUSY:
                raise Busy(f"{peer.name} is busy", retry_after_s=_retry_after(response))
            if response.status not in NO_STREAMS:
                raise _away(peer, f"{STREAMS} said {response.status}")
            yield None

    @contextlib.contextmanager
    def _answer(
        self,
        peer: Peer,
        method: str,
        address: str,
        *,
        poll_s: float | None = None,
        body: bytes | None = None,
    ) -> Iterator[Answer]:
        """Give the answer to one request, and remember whether the peer answers."""
        assert self._exchange, "there are no peers"
        health, exchange = self._health[peer.name], self._exchange
        try:
            with exchange.ask(peer, method, address, self._headers(), poll_s, body) as response:
                try:
                    yield response
                except (NotLocal, Blocked):
                    response.drain()
                    raise
            health.answered()
        except (NotLocal, Blocked, Busy):
            health.answered()
            raise
        except PeerBroken as error:
            health.failed()
            raise _away(peer, error.detail) from error

    def _headers(self) -> dict[str, str]:
        headers = {"X-Image-Cloud-Token": self._token.current(), "Accept-Encoding": "identity"}
        identity = current_id.get()
        return headers if identity == NO_ID else {**headers, PARENT_ID: identity}


def _exchange(peers: tuple[Peer, ...], settings: Cluster) -> Exchange:
    from image_cloud.cluster.exchange import Exchange

    return Exchange(peers, settings)


def _token_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _picture(url: Url) -> str:
    return f"/get_image?only_send_if_local=true&url={quote(url.text, safe='')}"


def _away(peer: Peer, reason: str) -> PeerAway:
    return PeerAway(f"{peer.name} does not answer: {reason}")


def _retry_after(response: Answer) -> float:
    said = response.headers.get("Retry-After", "")
    seconds = float(said) if re.fullmatch("[0-9]{1,9}", said) else BUSY_S
    return min(max(seconds, BUSY_S), LONGEST_BUSY_S)


def _check_status(peer: Peer, response: Answer) -> None:
    if response.status == 404:
        raise NotLocal(f"{peer.name} does not have the picture")
    if response.status == 410:
        raise Blocked()
    if response.status != 200:
        raise _away(peer, f"/get_image said {response.status}")


def _stored_at(peer: Peer, response: Answer) -> float | None:
    """Return when the peer stored it: its record's word, else the file's, in whole seconds.

    Raises PeerAway for an impossible time.
    """
    said = response.headers.get(STORED_AT)
    try:
        modified = http_date.seconds_of(response.headers.get("Last-Modified"))
        stored_at = modified if said is None else float(said)
        if stored_at is None:
            return None
        check_time(stored_at, time.time() + MOST_AHEAD_S)
    except (ValueError, OverflowError, TypeError):
        raise _away(peer, "a picture of an impossible time") from None
    return round(stored_at, 6)
