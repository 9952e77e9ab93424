"""Bring new code into force, program by program; the next restarts once the last one serves.

The pools' sockets stay open meanwhile (kept_sockets.py), so no request fails.
"""

from __future__ import annotations

import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from image_cloud.node_files.errors import CannotStart
from image_cloud.process.heartbeat import holder, modified, path_of
from image_cloud.process.logs import last_lines
from image_cloud.process.sockets import SERVERS, socket_path
from image_cloud.process.unix_get import answers

# The way of a request backwards: what is asked is new before what asks.
ORDER = [f"image-cloud-{pool}" for pool in reversed(SERVERS)]
SYSTEMS_OWN = {"nginx", "postgres"}  # a restart of these would be noticed
PATIENCE_S, POLL_S, ANSWER_S = 60.0, 0.2, 5.0
STOPPED = {"STOPPED", "EXITED", "FATAL"}


class Rollout:
    """Restarts what supervisord runs of ours; `say` prints one line.

    `supervisor` is supervisord's XML-RPC interface, `run` the folder of the sockets.
    """

    def __init__(self, supervisor: Any, run: str, say: Callable[[str], None]) -> None:
        self._supervisor = supervisor
        self._run = run
        self._say = say

    def all(self) -> None:
        """Restart every program.  Raises CannotStart at the first that does not serve again."""
        try:
            self._all()
        except xmlrpc.client.Fault as error:
            raise CannotStart(f"supervisord refuses: {error.faultString}") from None

    def _all(self) -> None:
        added, changed, removed = self._supervisor.reloadConfig()[0]
        for name in removed:
            self._remove(name)
            self._say(f"{name} is gone")
        there = {row["name"] for row in self._supervisor.getAllProcessInfo()} - set(removed)
        for name in in_order(there | set(added)):
            began = time.time()
            if name in changed:
                self._remove(name)
            if name in changed or name in added:
                self._supervisor.addProcessGroup(name)  # starts it, too
            else:
                self._restart(name)
            self._wait(name, began)
            self._say(f"{name} serves after {time.time() - began:.1f} s")

    def _restart(self, name: str) -> None:
        self._stop(name)
        try:
            self._supervisor.startProcess(name)
        except xmlrpc.client.Fault as error:
            raise self._failure(name, error.faultString) from None

    def _remove(self, name: str) -> None:
        self._stop(name)
        self._supervisor.removeProcessGroup(name)

    def _stop(self, name: str) -> None:
        if self._supervisor.getProcessInfo(name)["statename"] not in STOPPED:
            self._supervisor.stopProcess(name)

    def _wait(self, name: str, began: float) -> None:
        """Wait until a program runs and, if it is a pool, answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state = self._supervisor.getProcessInfo(name)["statename"]
            if state == "RUNNING" and self._answers(name, began):
                return
            if state in ("BACKOFF", "FATAL", "EXITED") or time.monotonic() > deadline:
                raise self._failure(name, state)
            time.sleep(POLL_S)

    def _answers(self, name: str, began: float) -> bool:
        """Ask a pool; of a daemon read whether it has made a step since its start."""
        pool = name.removeprefix("image-cloud-")
        if pool in SERVERS:
            return answers(socket_path(self._run, pool), ANSWER_S)
        beat = path_of(self._run, name)
        marked = modified(beat)
        if marked is None:
            return True
        return marked >= began and holder(beat) == self._supervisor.getProcessInfo(name)["pid"]

    def _failure(self, name: str, why: str) -> CannotStart:
        log = self._supervisor.getProcessInfo(name)["stdout_logfile"]
        reason = f"{name} does not serve ({why}); the programs after it were not restarted"
        return CannotStart(reason, evidence=last_lines(Path(log)))


def in_order(names: Iterable[str]) -> list[str]:
    """Sort programs of ours: the pools, then the daemons."""
    ours = set(names) - SYSTEMS_OWN
    return [name for name in ORDER if name in ours] + sorted(ours - set(ORDER))
