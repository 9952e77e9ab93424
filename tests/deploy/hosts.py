"""One host: a container that boots systemd, with its own network namespace on the test's bridge."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

BRIDGE, CONTROLLER = "icbr0", "10.209.0.1"
PATIENCE_S, POLL_S = 60.0, 0.2
FUSE = Path("/dev/fuse")
DISK = "/srv/disk"  # on hosts: no overlay, for those who keep attributes of files


def until(what: str, holds: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait until `holds()` is true; AssertionError that names `what` where it never is."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(POLL_S)


def command(*words: object) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"


class Host:
    """A host called `name`; `number` is the last part of its address."""

    def __init__(self, name: str, number: int, folder: Path, ssh_config: Path) -> None:
        """Everything of it stands below `folder`."""
        self.name, self.address = name, f"10.209.0.{number}"
        self._folder, self._ssh_config = folder, ssh_config
        self.root = folder / "root"

    def prepare(self, base: Path, key: Path) -> None:
        """Lay the overlay over `base`, let `key` in, and plug the network in."""
        self._lay(base, key)
        self._plug()

    def renew(self, base: Path, key: Path) -> None:
        """Make it a bare host again; `boot` starts it."""
        self.power_off()
        self.plug()
        until(f"{self.name}'s root is free", self._unmount)
        for name in ("upper", "work", "disk"):
            shutil.rmtree(self._folder / name)
        self._lay(base, key)

    def _lay(self, base: Path, key: Path) -> None:
        for name in ("upper", "work", "root", "disk"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={base},upperdir={self._folder}/upper,workdir={self._folder}/work"
        command("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        (self.root / "root/.ssh/authorized_keys").write_text(key.with_suffix(".pub").read_text())
        (self.root / "etc/hostname").write_text(f"{self.name}\n")

    def _unmount(self) -> bool:
        return subprocess.run(["umount", self.root], capture_output=True).returncode == 0

    def _plug(self) -> None:
        command("ip", "netns", "add", self.name)
        command(
            "ip",
            "link",
            "add",
            f"v{self.name}",
            "type",
            "veth",
            "peer",
            "host0",
            "netns",
            self.name,
        )
        command("ip", "link", "set", f"v{self.name}", "master", BRIDGE, "up")
        command("ip", "-n", self.name, "addr", "add", f"{self.address}/24", "dev", "host0")
        for device in ("host0", "lo"):
            command("ip", "-n", self.name, "link", "set", device, "up")

    def boot(self) -> None:
        """Start it; `wait_up` says when sshd answers."""
        machine = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
            f"--directory={self.root}", f"--machine={self.name}", f"--hostname={self.name}",
            f"--network-namespace-path=/run/netns/{self.name}", "--resolv-conf=off", "--timezone=off",
            f"--bind={self._folder}/disk:{DISK}", *(["--bind=/dev/fuse"] if FUSE.exists() else []),
        ]  # fmt: skip
        with open(self._folder / "console.log", "ab") as console:
            subprocess.Popen(
                machine, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                preexec_fn=self._enter_cgroup, start_new_session=True,
            )  # fmt: skip

    def _enter_cgroup(self) -> None:
        """Give the container groups of its own: systemd takes all below its own for its own."""
        for group in self._cgroups():
            group.mkdir(parents=True, exist_ok=True)
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def reboot(self) -> None:
        """Have the host restart: nspawn ends for that (--keep-unit) and leaves the start to us."""
        self.run("systemctl reboot")
        until(f"{self.name} went down", lambda: not self._pids())
        self.boot()

    def power_off(self) -> None:
        """Take the current away: it answers nothing, not even that a port is closed."""
        command("ip", "link", "set", f"v{self.name}", "down")
        until(f"{self.name} is off", self._is_killed)

    def plug(self) -> None:
        """Give it its network back; `boot` starts it."""
        command("ip", "link", "set", f"v{self.name}", "up")

    def _is_killed(self) -> bool:
        pids = self._pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    def _pids(self) -> list[int]:
        """Return the processes of the host, nspawn's own among them."""
        found = []
        for top in self._cgroups():
            for folder, _, _ in os.walk(top):  # passes over those that vanish meanwhile
                with contextlib.suppress(OSError):
                    found += [int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()]
        return [pid for pid in found if pid]

    def _cgroups(self) -> list[Path]:
        return [top / self._folder.parent.name / self.name for top in cgroup_roots()]

    def wait_up(self) -> None:
        """Return when systemd has started all there is to start."""
        until(
            f"{self.name} is up",
            lambda: self.run("systemctl is-system-running", timeout_s=5)[0] == 0,
        )

    def run(self, script: str, *, timeout_s: float = 60.0) -> tuple[int, str]:
        """Run a shell script over ssh; return its exit code and what it printed."""
        ssh = ["ssh", "-F", str(self._ssh_config), "-o", "ConnectTimeout=2", self.name, script]
        try:
            done = subprocess.run(ssh, capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return 255, ""
        return done.returncode, done.stdout + done.stderr

    def sh(self, script: str, *, timeout_s: float = 60.0) -> str:
        """Run a shell script that has to succeed; return what it printed."""
        code, output = self.run(script, timeout_s=timeout_s)
        assert code == 0, f"{self.name}: {script}: {output}"
        return output.strip()

    def url(self, path: str, port: int = 5000) -> str:
        """Return an address on this host."""
        return f"http://{self.address}:{port}{path}"


def cgroup_roots() -> list[Path]:
    """Return where systemd keeps its groups: one tree, or (older) its own and the unified one."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.procs").exists():
        return [top]
    return [top / name for name in ("systemd", "unified") if (top / name / "cgroup.procs").exists()]


def remove_cgroups(world: str) -> None:
    """Remove the groups of the hosts of one test, once their processes are gone."""
    for root in cgroup_roots():
        until(
            f"no process is left in {root}/{world}", functools.partial(_remove_tree, root / world)
        )


def _remove_tree(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not top.exists()
