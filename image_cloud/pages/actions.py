"""What an operator does to one picture: delete, block, unblock, refresh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from image_cloud.cluster.deletes import Deleted, Deletes
from image_cloud.cluster.peer_states import PeerStates
from image_cloud.errors import Forbidden, Unavailable
from image_cloud.pages.people import printable
from image_cloud.picture.url import Url
from image_cloud.process import json_file
from image_cloud.process.unix_get import get

REFRESH_S = 25.0  # nginx waits for a page for 30 s
LATER = "; the database is away, so the other nodes hear of it later"


@dataclasses.dataclass(frozen=True)
class Action:
    """One thing to do: the button's word, the scope that it needs, and what it means."""

    name: str
    button: str
    scope: str
    meaning: str
    is_dangerous: bool = True


ACTIONS = {
    one.name: one
    for one in (
        Action(
            "refresh", "Refresh", "prefetch",
            "The origin is asked now, whatever the picture's age; a remembered failure is forgotten.",
            is_dangerous=False,
        ),
        Action(
            "delete", "Delete", "delete",
            "The original, its variants and remembered failures go, on every node. The next request for"
            " the URL fetches it again.",
        ),
        Action(
            "block", "Block", "delete",
            "The picture is deleted on every node, and the URL forbidden: requests get 410 until it is"
            " unblocked.",
        ),
        Action(
            "unblock", "Unblock", "delete",
            "The URL is allowed again, on every node; the next request fetches it.", is_dangerous=False,
        ),
    )
}  # fmt: skip


class Actions:
    """Does them; `accepts` says whether this node takes deletes, `fetch_socket` is the fetch pool's."""

    def __init__(
        self, deletes: Deletes, peers: PeerStates, *, accepts: bool, fetch_socket: str
    ) -> None:
        self._deletes = deletes
        self._peers = peers
        self._accepts = accepts
        self._fetch_socket = fetch_socket

    def why_not(self, action: Action) -> str:
        """Say why this node does not do it, and which one does; nothing where it does."""
        if action.scope != "delete" or self._accepts:
            return ""
        takers = [f"{one.name} ({one.url})" for one in self._peers.takers_of_deletes()]
        taker = " or ".join(takers) or "another node, which this one has not met yet"
        return f"deletes are taken by {taker}, not by this node"

    def do(self, action: Action, url: Url) -> str:
        """Do it, and return what came of it in words.  Raises ImageCloudError."""
        if why_not := self.why_not(action):
            raise Forbidden(why_not)
        doing: dict[str, Callable[[], str]] = {
            "refresh": lambda: self._refresh(url),
            "delete": lambda: _deleted(self._deletes.delete(url)),
            "block": lambda: _blocked(self._deletes.delete(url, block=True)),
            "unblock": lambda: _unblocked(self._deletes.delete(url, block=False)),
        }
        return doing[action.name]()

    def _refresh(self, url: Url) -> str:
        answer = self._ask_fetch_pool(f"/_refresh?url={quote(url.text, safe='')}")
        if "code" in answer:
            return f"Not refreshed: {printable(answer['detail'])} ({printable(answer['code'])})"
        if answer.get("changed"):
            return "Refreshed: the origin had a new picture."
        return "Refreshed: the origin has the same picture."

    def _ask_fetch_pool(self, target: str) -> dict[str, Any]:
        try:
            answer = json_file.parse(get(self._fetch_socket, target, REFRESH_S)[1])
        except (OSError, ValueError):
            raise Unavailable("the fetch pool does not answer in time") from None
        return answer if isinstance(answer, dict) else {}


def _deleted(done: Deleted) -> str:
    said = "Deleted" if done.deleted else "It was not on this node; the delete holds on all nodes"
    return _finished(said, done)


def _blocked(done: Deleted) -> str:
    return _finished("Blocked", done)


def _unblocked(done: Deleted) -> str:
    return _finished("Unblocked", done)


def _finished(said: str, done: Deleted) -> str:
    return f"{said}{'' if done.recorded else LATER}."
