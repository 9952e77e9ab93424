"""The hosts with their network, an origin, and the playbooks that are run against them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests import apart
from tests.deploy import base_image, releases
from tests.deploy.hosts import BRIDGE, CONTROLLER, Host, command, remove_cgroups

ROOT = Path(__file__).parents[2]
NAMES = ("ic00", "ic01", "ic02", "ic03", "ic04")  # the last one is there to be added
FIRST_NUMBER = 10
SSH_CONFIG = """\
Host {name}
  HostName {address}
"""
SSH_COMMON = """\
Host ic*
  User root
  IdentityFile {key}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ServerAliveInterval 5
"""


def outside(arguments: list[str]) -> int:
    """Build what needs the network, then run the rest in namespaces; clean up after it."""
    folder = Path(tempfile.mkdtemp(prefix="image-cloud-deploy-test."))
    try:
        base_image.make()
        releases.build_all(folder)
        return apart.run("tests.deploy", ["--inside", str(folder), *arguments])
    finally:
        remove_cgroups(folder.name)
        shutil.rmtree(folder)


class World:
    """Four hosts and a spare one; `log` holds what the playbooks printed."""

    def __init__(self, folder: str, *, joins: bool = False) -> None:
        """`joins`: they run already, in these very namespaces."""
        self.folder = Path(folder)
        self.log = self.folder / "playbooks.log"
        self._joins = joins
        self._ssh_config = self.folder / "ssh_config"
        self._key = self.folder / "key"
        self.hosts = {
            name: Host(name, FIRST_NUMBER + number, self.folder / name, self._ssh_config)
            for number, name in enumerate(NAMES)
        }
        self.token = ""
        self.recap: dict[str, dict[str, int]] = {}

    def __enter__(self) -> World:
        if not self._joins:
            self._make_network()
            self._write_files()
            for host in self.hosts.values():
                host.prepare(base_image.make(), self._key)
                host.boot()
            for host in self.hosts.values():
                host.wait_up()
        self.token = (self.folder / "token").read_text()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the rest to the kernel: this is process 1 of its namespace."""

    def nodes(self) -> list[Host]:
        """Return ic00 to ic03."""
        return [self.hosts[name] for name in NAMES[:4]]

    def playbook(self, name: str, *arguments: str, release: str = "now", expect: int = 0) -> str:
        """Run a playbook of the checkout of `release`; return its output and keep the recap."""
        checkout = releases.checkout(self.folder, release)
        environment = {
            **os.environ,
            "ANSIBLE_SSH_COMMON_ARGS": f"-F {self._ssh_config}",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            # Not the user's: a connection kept open to a real ic00 would be taken for ours.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "connections"),
        }
        words: list[str | Path] = [
            ROOT / ".cache/ansible/bin/ansible-playbook", f"ansible/{name}",
            "-i", self.folder / "inventory.ini", "-e", f"@{self.folder}/variables.yml", *arguments,
        ]  # fmt: skip
        done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        with open(self.log, "a") as file:
            file.write(f"\n\n===== {name} {' '.join(arguments)} ({release})\n{output}")
        self.recap = read_recap(output)
        assert (done.returncode != 0) == bool(expect), f"{name} ended with {done.returncode}"
        return output

    def last_lines(self) -> str:
        """Return the end of what playbooks printed."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return "\n".join(
            line[:2000] for line in lines[-60:] if not line.startswith(("ok:", "skipping:"))
        )

    def renew(self, **variables: object) -> None:
        """Have bare hosts again; `variables` are the inventory's, beside those that all tests need."""
        base = base_image.make()
        for host in self.hosts.values():
            host.renew(base, self._key)
            host.boot()
        for host in self.hosts.values():
            host.wait_up()
        self.write_inventory()
        with open(self.folder / "variables.yml", "a") as file:
            file.writelines(f"{name}: {json.dumps(value)}\n" for name, value in variables.items())

    def without(self, name: str) -> None:
        """Take a variable away that `renew` was given."""
        path = self.folder / "variables.yml"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(f"{name}:")))

    def write_inventory(
        self, names: tuple[str, ...] = NAMES[:4], backup: str = "", **differences: str
    ) -> None:
        """Write the inventory as an operator would: aliases and what differs."""
        lines = [
            f"{name} image_cloud_accept_deletes={str(name == 'ic00').lower()}"
            f" {differences.get(name, '')}"
            for name in names
        ]
        text = "\n".join(
            ["[image_cloud]", *lines, "", "[loadbalancer]", "ic00", "", "[backup]", backup]
        )
        (self.folder / "inventory.ini").write_text(text + "\n")

    def linger(self) -> None:
        """Say how to look around, and wait for Ctrl-C."""
        print(f"deploy-test: kept; nsenter -a -t PID, PID as outside; {self.folder}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

    def _make_network(self) -> None:
        # systemd-nspawn believes in a running systemd where this folder is.
        os.makedirs("/run/systemd", exist_ok=True)
        os.makedirs("/run/netns", exist_ok=True)
        command("mount", "-t", "tmpfs", "tmpfs", "/run/systemd")
        command("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
        command("ip", "link", "set", "lo", "up")
        command("ip", "link", "add", BRIDGE, "type", "bridge")
        command("ip", "addr", "add", f"{CONTROLLER}/24", "dev", BRIDGE)
        command("ip", "link", "set", BRIDGE, "up")

    def _write_files(self) -> None:
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key)
        entries = [SSH_CONFIG.format(name=h.name, address=h.address) for h in self.hosts.values()]
        self._ssh_config.write_text("".join(entries) + SSH_COMMON.format(key=self._key))
        token, peer_token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        (self.folder / "token").write_text(token)
        (self.folder / "variables.yml").write_text(
            f"vault_image_cloud_peer_token: {peer_token}\n"
            "vault_image_cloud_clients:\n"
            f"  - {{name: tester, scopes: [read, prefetch, delete, ops], token: {token}}}\n"
            f"image_cloud_build_folder: {releases.BUILT}\n"
            f"image_cloud_settings: {{download: {{allow_networks: [{CONTROLLER}/32]}}}}\n"
            "postgresql_shared_buffers: 32MB\n"
        )
        self.write_inventory()


def read_recap(output: str) -> dict[str, dict[str, int]]:
    """Return the counts of Ansible's recap, by host."""
    rows = re.findall(r"^(\w+) +: (ok=\d+.*)$", output, re.MULTILINE)
    return {
        name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
        for name, counts in rows
    }
