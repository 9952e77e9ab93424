"""Find and end the processes of one stack, orphans included."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.home import Home

MARK = "IMAGE_CLOUD_STACK"  # in the environment of supervisord and so of all that it starts
# They write their titles over their environment, but stand in a folder of the home.
RENAMED = {"nginx", "postgres"}
GRACE_S, GIVE_UP_S, POLL_S = 3.0, 20.0, 0.05


def clean_environment(home: Home) -> dict[str, str]:
    """Return the environment of what the stack starts: marked, and without any secret."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "IMAGE_CLOUD_HOME": str(home.root),
        "IMAGE_CLOUD_CONFIG": str(home.config),
        MARK: str(home.root),
    }


def of_stack(home: Home) -> list[int]:
    """Return the ids of every process that belongs to the stack of `home`, but for our own."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _belongs(pid, home)]


def supervisord(home: Home) -> int | None:
    """Return the id of the stack's running supervisord."""
    try:
        pid = int(home.supervisord_pid.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(home.supervisord_conf) in arguments else None


def end(pids: list[int], home: Home, *, grace_s: float = GRACE_S) -> None:
    """End processes of a stack that has lost its supervisord: politely, then not."""
    _send(pids, signal.SIGTERM)
    began = time.monotonic()
    while pids and (left := of_stack(home)):
        waited = time.monotonic() - began
        if waited > GIVE_UP_S:
            raise CannotStart(f"these processes do not end: {', '.join(map(str, left))}")
        if waited > grace_s:
            _send(left, signal.SIGKILL)
        time.sleep(POLL_S)


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Wait until process `pid` has ended; say whether it has."""
    deadline = time.monotonic() + timeout_s
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def is_alive(pid: int) -> bool:
    """Say whether process `pid` is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _belongs(pid: int, home: Home) -> bool:
    folder = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        if f"{MARK}={home.root}".encode() in (folder / "environ").read_bytes().split(b"\0"):
            return is_alive(pid)
    with contextlib.suppress(OSError):
        program = os.readlink(folder / "exe").removesuffix(" (deleted)").rpartition("/")[2]
        place = Path(os.readlink(folder / "cwd").removesuffix(" (deleted)"))
        return program in RENAMED and place.is_relative_to(home.root) and is_alive(pid)
    return False


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
