"""Machines of their own as far as the network goes: a switch, and hosts plugged into it.

Every namespace is held by processes alone, which the kernel ends with ours: nothing is left of them however
a test ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cluster.nodes import eventually

SWITCH, NETWORK = "10.77.0.1", "10.77.0"
FIRST_NUMBER = 11
START_S, COMMAND_S = 20.0, 120.0
# Process 1 of a host: it collects what its daemons leave behind.  Each host has the folders that
# GlusterFS knows by their fixed paths for itself.
INIT = """\
set -e
for folder in var log; do mkdir -p "$0/$folder"; done
mkdir -p /var/lib/glusterd /var/log/glusterfs
mount --bind "$0/var" /var/lib/glusterd
mount --bind "$0/log" /var/log/glusterfs
mount -t tmpfs tmpfs /run
mkdir /run/gluster
touch "$0/up"
exec env --ignore-signal=CHLD sleep infinity
"""
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class Switch:
    """A bridge in a network namespace of its own; what runs `inside` it reaches every host."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Switch:
        self._process = start(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        try:
            eventually(lambda: os.readlink(f"/proc/{self.pid}/ns/net") != own, "a network", START_S)
            self._ip("link", "add", "switch", "type", "bridge")
            self._ip("addr", "add", f"{SWITCH}/24", "dev", "switch")
            for device in ("lo", "switch"):
                self._ip("link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process, "it is not switched on"
        return self._process.pid

    def inside(self) -> list[str]:
        """Return what a command begins with that is to use this network, with the files of all."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]

    def plug(self, number: int, pid: int) -> None:
        """Lay a cable to the network namespace of process `pid`, which becomes host `number`."""
        self._ip("link", "add", f"port{number}", "type", "veth", "peer", "eth0", "netns", str(pid))
        self._ip("link", "set", f"port{number}", "master", "switch", "up")

    def cable(self, number: int, *, up: bool) -> None:
        """Pull a host's cable, or put it in again: packets vanish, connections hang."""
        self._ip("link", "set", f"port{number}", "up" if up else "down")

    def _ip(self, *words: str) -> None:
        run([*self.inside(), "ip", *words])


class Host:
    """One host on the switch, with an own idea of GlusterFS's folders below `folder`."""

    def __init__(self, switch: Switch, number: int, folder: Path) -> None:
        self.number = number
        self.address = f"{NETWORK}.{FIRST_NUMBER + number}"
        self.folder = folder
        self._switch = switch
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Host:
        self.folder.mkdir(parents=True, exist_ok=True)
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._process = start(["unshare", *spaces, "sh", "-c", INIT, str(self.folder)])
        try:
            eventually((self.folder / "up").exists, "its folders are mounted", START_S)
            self._switch.plug(self.number, self._process.pid)
            self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                self.run("ip", "link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()  # unshare, and with it process 1 of the namespace
            self._process.wait()

    def run(self, *words: str) -> str:
        """Run a command on this host; return what it prints."""
        spaces = ["--net", "--mount", f"--pid={self._processes}"]
        return run(["nsenter", f"--target={self._pid}", *spaces, "--", *words])

    def kill(self) -> None:
        """Kill every daemon of this host; the host stays."""
        eventually(self._are_killed, "its daemons are gone", START_S)

    def cable(self, *, up: bool) -> None:
        """Pull this host's cable, or put it in again."""
        self._switch.cable(self.number, up=up)

    @property
    def _pid(self) -> int:
        assert self._process, "it is not switched on"
        return self._process.pid

    @property
    def _processes(self) -> str:
        """Return the name of its process namespace."""
        return f"/proc/{self._pid}/ns/pid_for_children"

    def _are_killed(self) -> bool:
        left = [pid for pid in _pids_within(os.readlink(self._processes)) if not _is_first(pid)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process that the kernel ends with us, with what it prints on our own standard error."""
    return subprocess.Popen([*WITH_US, *command], stdin=subprocess.DEVNULL, stdout=sys.stderr)


def run(command: Sequence[str]) -> str:
    """Run a command that has to succeed; return what it prints.  Raises AssertionError."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def _pids_within(namespace: str) -> Iterator[int]:
    """Yield the processes of a process namespace."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(folder / "ns/pid") == namespace:
                yield int(folder.name)


def _is_first(pid: int) -> bool:
    """Say whether it is process 1 of its namespace."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return "\t1\n" in next(
            line for line in status.splitlines(True) if line.startswith("NSpid:")
        )
    return False
