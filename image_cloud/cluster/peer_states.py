"""What this node knows of its peers: a small file that the follower writes and everybody reads.

A file, so that `/alternative_clouds` answers at once, database or not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from pathlib import Path

from image_cloud.process import json_file

WRITE_EVERY_S = 1.0
STALE_S = 30.0  # a follower hears of a live peer much more often


@dataclasses.dataclass(frozen=True)
class PeerState:
    """One peer: when it last answered (seconds since 1970), what it said of itself, what is wrong."""

    name: str
    url: str
    alive: bool = False
    last_seen: float | None = None
    backlog: int | None = None
    accepts_deletes: bool = False
    has_of_us: str = ""  # up to where in this node's feed it has cloned everything
    held_s: float = 0.0  # for how long a transaction has held its feed back
    error: str = ""
    is_stopped: bool = False  # it deletes too much: an operator has to say go

    def is_alive(self, now: float) -> bool:
        """Return whether the peer answered lately; without a follower nothing is known."""
        return self.alive and self.last_seen is not None and now - self.last_seen < STALE_S


class PeerStates:
    """The file with every peer's state."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._states: dict[str, PeerState] = {}
        self._written = float("-inf")

    def read(self) -> dict[str, PeerState]:
        """Return what the file holds, by name and in its order; nothing where it is unreadable."""
        states = json_file.read(self._path, list[PeerState]) or []
        return {state.name: state for state in sorted(states, key=lambda state: state.name)}

    def seen(self) -> dict[str, float | None]:
        """Return when each peer last answered, by name, as far as the file tells."""
        return {name: state.last_seen for name, state in self.read().items()}

    def takers_of_deletes(self) -> list[PeerState]:
        """Return the peers that accept deletes, as far as the file tells."""
        return [state for state in self.read().values() if state.accepts_deletes]

    def update(self, state: PeerState) -> None:
        """Take one peer's new state in; what only repeats the last is written once a second."""
        with self._mutex:
            if not self._states:
                self._states = self.read()
            before = self._states.get(state.name)
            self._states[state.name] = state
            if (
                before is None
                or _news(before) != _news(state)
                or time.monotonic() - self._written > WRITE_EVERY_S
            ):
                self._write()

    def current(self) -> dict[str, PeerState]:
        """Return every peer's last state."""
        with self._mutex:
            return dict(self._states)

    def alive(self) -> set[str]:
        """Return the names of the peers that answer."""
        return {name for name, state in self.current().items() if state.alive}

    def last(self, name: str) -> PeerState | None:
        """Return the last state of peer `name`."""
        with self._mutex:
            if not self._states:
                self._states = self.read()
            return self._states.get(name)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the next write tells it again
            json_file.write(self._path, list(self._states.values()))
            self._written = time.monotonic()


def _news(state: PeerState) -> tuple[object, ...]:
    """Return what is written at once where it changes."""
    return state.alive, state.backlog, state.error, state.is_stopped
