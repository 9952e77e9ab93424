"""Wait until the stack serves, or find out why it does not."""

from __future__ import annotations

import collections
import http.client
import subprocess
import time
from pathlib import Path

from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.home import Home
from image_cloud.process.logs import last_lines
from image_cloud.process.sockets import split
from image_cloud.supervision.programs import programs as programs_of

PATIENCE_S, POLL_S = 60.0, 0.1
MOST_STARTS = 3  # of one program while the stack starts: it keeps dying


def answer(listen: str, timeout_s: float = 5.0) -> str:
    """Return what /ready says: `200`, another status, or why there is no answer."""
    address, port = split(listen)
    connection = http.client.HTTPConnection(
        {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address),  # noqa: S104
        port,
        timeout=timeout_s,
    )
    try:
        connection.request("GET", "/ready")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def wait(
    home: Home,
    listen: str,
    supervisord: subprocess.Popen[bytes],
    migration: subprocess.Popen[bytes],
) -> None:
    """Return once the tables stand, every program runs and /ready answers 200.

    Raises CannotStart with the reason where that will never be.
    """
    deadline = time.monotonic() + PATIENCE_S
    last = "nothing yet"
    starts: dict[str, set[int]] = collections.defaultdict(set)
    while not (
        _all_run(home, starts)
        and (last := answer(listen)) == "200"
        and migration.poll() is not None
    ):
        if supervisord.poll() is not None:
            raise CannotStart(
                "supervisord ended", evidence=last_lines(home.log / "supervisord.err")
            )
        if time.monotonic() > deadline:
            raise CannotStart(
                f"not ready after {PATIENCE_S:.0f} s: /ready says {last}; logs are in {home.log}"
            )
        time.sleep(POLL_S)
    if migration.returncode:
        lines = migration.stderr.read().decode(errors="replace").strip() if migration.stderr else ""
        raise CannotStart("the database's tables cannot be brought up to date", evidence=lines)


def _all_run(home: Home, starts: dict[str, set[int]]) -> bool:
    """Say whether every program runs; raise CannotStart where one starts too often or gave up."""
    try:
        programs = programs_of(home)
    except OSError:
        return False
    for program in programs:
        starts[program.name].add(program.started)
        if program.state == "FATAL" or len(starts[program.name]) > MOST_STARTS:
            lines = last_lines(Path(program.log))
            last = lines.rstrip().rpartition("\n")[2]
            raise CannotStart(
                f"{program.name} keeps dying: {last or 'it says nothing'}", evidence=lines
            )
    return all(program.state == "RUNNING" for program in programs)
