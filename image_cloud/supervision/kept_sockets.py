"""A pool's listening socket outlives the pool's restart.

supervisord opens the sockets of its fcgi-programs and hands them to what it starts, but closes one when its
last process ends.  A reference held here keeps it open: requests that arrive meanwhile wait in it for the
new process.  Not for ever: where none comes, nginx must hear that the pool is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from supervisor.states import ProcessStates

AWAY = (
    ProcessStates.STOPPED,
    ProcessStates.EXITED,
    ProcessStates.BACKOFF,
    ProcessStates.FATAL,
    ProcessStates.UNKNOWN,
)
PATIENCE_S = 8.0  # of requests that wait for a pool which nobody starts


class KeptSockets:
    """One reference to each group's socket, while a process of the group is there or about to be.

    `groups` is supervisord's own table, by name.
    """

    def __init__(self, groups: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._groups = groups
        self._clock = clock
        self._held: dict[str, Any] = {}
        self._seen: dict[str, float] = {}

    def look(self) -> None:
        """Take up the sockets of groups that run and let go of those that have been away for long."""
        now = self._clock()
        for name, group in self._groups.items():
            if not hasattr(group, "socket_manager"):
                continue
            if any(process.state not in AWAY for process in group.processes.values()):
                self._seen[name] = now
                if name not in self._held:
                    self._held[name] = group.socket_manager.get_socket()
            elif now - self._seen.get(name, now) > PATIENCE_S:
                self.drop(name)

    def drop(self, name: str) -> None:
        """Let go of a group's socket: it closes when no process has it either."""
        self._held.pop(name, None)
        self._seen.pop(name, None)
