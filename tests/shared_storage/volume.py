"""A real GlusterFS volume of three bricks, replica 3, on this machine."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.cluster.nodes import eventually
from tests.shared_storage.hosts import Host, Switch
from tests.shared_storage.mount import Mount

BRICKS = 3
NAME = "pictures"
HEAL_S = 300.0
LOOK_EVERY_S = 2.0
# What docs/scaling.md recommends; a host that is gone is given up sooner, and healing is quicker.
OPTIONS = {
    "features.cache-invalidation": "on",
    "performance.cache-invalidation": "on",
    "network.ping-timeout": "5",
    "cluster.shd-max-threads": "8",
}
PROBES = {
    "network and mount namespaces": ["unshare", "--net", "--mount", "--pid", "--fork", "true"],
    "bridges": ["unshare", "--net", "ip", "link", "add", "switch", "type", "bridge"],
    "veth pairs": ["unshare", "--net", "ip", "link", "add", "port", "type", "veth"],
}


def why_not() -> str:
    """Say why this machine cannot have such a volume; empty where it can."""
    if os.geteuid() != 0:
        return "a GlusterFS volume needs root"
    if lacking := [name for name in ("glusterd", "gluster", "glusterfs") if not shutil.which(name)]:
        return f"{', '.join(lacking)} not found: apt-get install glusterfs-server"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened: {error.strerror}"
    for what, command in PROBES.items():
        if subprocess.run(command, capture_output=True).returncode:
            return f"this machine lets us make no {what}"
    return _why_no_attributes()


def _why_no_attributes() -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.setxattr(folder, "trusted.image-cloud", b"1")
        except OSError as error:
            return f"the temporary folder takes no trusted attributes: {error.strerror}"
    return ""


class Volume:
    """The volume; a context manager that leaves nothing running or mounted.

    Bricks, logs and mounts stand below `folder`, or below a temporary one that every user may enter.
    Give `options` of `gluster volume set` to change it.  Use it where `why_not()` has nothing to say.
    """

    def __init__(self, folder: Path | None = None, options: dict[str, str] | None = None) -> None:
        self._given = folder
        self._options = OPTIONS | (options or {})
        self._stack = contextlib.ExitStack()
        self._switch = Switch()
        self.hosts: list[Host] = []

    def __enter__(self) -> Volume:
        with contextlib.ExitStack() as stack:
            self.folder = self._given or _temporary(stack)
            stack.enter_context(self._switch)
            self.hosts = [
                stack.enter_context(Host(self._switch, number, self.folder / f"host{number}"))
                for number in range(BRICKS)
            ]
            self._make()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def mount(self, name: str, *options: str) -> Mount:
        """Mount the volume as `name`, until the volume ends or the mount is left before."""
        servers = [host.address for host in self.hosts]
        mount = Mount(self._switch, servers, NAME, self.folder / "mounts" / name, options)
        return self._stack.enter_context(mount)

    def kill_bricks(self, *numbers: int) -> None:
        """Kill the daemons of hosts; their files stay."""
        for number in numbers:
            self.hosts[number].kill()

    def start_bricks(self, *numbers: int) -> None:
        """Start them again; the others then heal them."""
        for number in numbers:
            self.hosts[number].run("glusterd")
        eventually(lambda: set(numbers) <= self._online(), f"bricks {numbers} are back", HEAL_S)

    def unplug(self, *numbers: int) -> None:
        """Pull the cables of hosts: nothing is refused, everything hangs."""
        for number in numbers:
            self.hosts[number].cable(up=False)

    def plug(self, *numbers: int) -> None:
        """Put them in again."""
        for number in numbers:
            self.hosts[number].cable(up=True)

    def await_healed(self) -> None:
        """Return when no brick lacks anything that another has; nothing may be written meanwhile."""
        eventually(self._heals, "the daemons that heal run", HEAL_S)
        eventually(self._is_healed, "the volume is healed", HEAL_S)

    def cli(self, *words: str, host: int = 0) -> str:
        """Run `gluster` on a host; return what it prints."""
        return self.hosts[host].run("gluster", "--mode=script", *words)

    def _heals(self) -> bool:
        """Have the healing begin; say whether it did, as a daemon may just be starting."""
        with contextlib.suppress(AssertionError):
            self.cli("volume", "heal", NAME)
            return True
        return False

    def _make(self) -> None:
        for number, host in enumerate(self.hosts):
            host.run("glusterd")
            answers = functools.partial(self.cli, "pool", "list", host=number)
            eventually(answers, f"glusterd answers on host {number}")
        for host in self.hosts[1:]:
            self.cli("peer", "probe", host.address)
        eventually(self._are_friends, "the hosts know each other")
        bricks = [f"{host.address}:{host.folder}/brick" for host in self.hosts]
        self.cli("volume", "create", NAME, "replica", str(BRICKS), *bricks, "force")
        self.cli("volume", "set", NAME, *(word for pair in self._options.items() for word in pair))
        self.cli("volume", "start", NAME)
        eventually(lambda: len(self._online()) == BRICKS, "all bricks are there")

    def _are_friends(self) -> bool:
        states = [self.cli("peer", "status", host=number) for number in range(BRICKS)]
        return all(text.count("Peer in Cluster (Connected)") == BRICKS - 1 for text in states)

    def _online(self) -> set[int]:
        """Return the numbers of the bricks that are there as far as host 0 knows."""
        status = self.cli("volume", "status", NAME, "--xml")
        brick = r"<hostname>([\d.]+)</hostname>\s*<path>/.*?<status>(\d)</status>"
        states = dict(re.findall(brick, status, re.DOTALL))
        return {host.number for host in self.hosts if states.get(host.address) == "1"}

    def _is_healed(self) -> bool:
        """Say whether nothing is left; else have the daemons go on, and leave them the processors.

        What one pass cannot heal yet, as its folder lacks, waits for the next: ten minutes by itself.
        """
        counts = self.cli("volume", "heal", NAME, "statistics", "heal-count")
        if counts.count("Number of entries: 0") == BRICKS:
            return True
        self._heals()
        time.sleep(LOOK_EVERY_S)
        return False


def _temporary(stack: contextlib.ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ic-gluster-"))
    folder.chmod(0o755)  # nodes have users of their own
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder
