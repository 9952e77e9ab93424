"""`python -m image_cloud.stack.cluster up|down|start|stop [NODE]`: four stacks on one machine.

Each node is a stack like any other, with a home of its own below IMAGE_CLOUD_HOME.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from image_cloud.config import ConfigError, load_config
from image_cloud.config.sample import render
from image_cloud.node_files import layout
from image_cloud.node_files.accounts import Accounts, find_accounts
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import Planned
from image_cloud.node_files.home import Home, from_environment
from image_cloud.process.sockets import split
from image_cloud.request import tokens

ADDRESSES = {"ic00": "127.0.0.10", "ic01": "127.0.0.11", "ic02": "127.0.0.12", "ic03": "127.0.0.13"}
DEFAULT_PORT = 5000
PEER_SCOPES = ("peer", "read")


class Cluster:
    """The four homes below one folder.

    `environment` holds the IMAGE_CLOUD_* variables of the call.
    """

    def __init__(self, root: Path, checkout: Path, environment: Mapping[str, str]) -> None:
        self._root = root
        self._checkout = checkout
        self._environment = environment
        listen = environment.get("IMAGE_CLOUD_LISTEN", "")
        self._port = split(listen)[1] if listen else DEFAULT_PORT

    def start(self, names: Sequence[str]) -> bool:
        """Start nodes side by side; say whether all of them serve."""
        self._prepare(names)
        running = [self._stack(name, "up") for name in names]
        return _all_end_well(running)

    def stop(self, names: Sequence[str]) -> bool:
        """Stop nodes side by side; say whether nothing of them is left."""
        there = [name for name in names if self._home(name).root.exists()]
        running = [self._stack(name, "down") for name in there]
        return _all_end_well(running)

    def url(self, name: str) -> str:
        """Return a node's base URL."""
        return f"http://{ADDRESSES[name]}:{self._port}"

    def _home(self, name: str) -> Home:
        return from_environment({"IMAGE_CLOUD_HOME": str(self._root / name)}, self._checkout)

    def _stack(self, name: str, command: str) -> subprocess.Popen[bytes]:
        own = {"IMAGE_CLOUD_HOME": str(self._home(name).root), "IMAGE_CLOUD_LISTEN": ""}
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "image_cloud.stack", command],
            cwd=self._checkout,
            env={**self._environment, **own},
        )

    def _prepare(self, names: Sequence[str]) -> None:
        """Give new homes their ini and tokens; the same token opens all nodes."""
        accounts = find_accounts()
        first, between = self._secret("token"), self._secret("peer_token")
        for name in names:
            home = self._home(name)
            layout.make_root(home, accounts)
            if not home.ini.exists():
                Planned(home.ini, self._ini(name), 0o600).write()
            self._write_tokens(home, accounts, first, between)

    def _secret(self, file: str) -> str:
        """Return the content of `file` in whichever home has it, or a new secret."""
        for name in ADDRESSES:
            path = self._root / name / file
            if path.exists():
                return path.read_text().strip()
        return secrets.token_urlsafe(32)

    def _write_tokens(self, home: Home, accounts: Accounts, first: str, between: str) -> None:
        file = home.root / "tokens.json"
        known = {client.name for client in tokens.read_clients(file)} if file.exists() else set()
        if "first" not in known and not home.token.exists():
            tokens.add(file, "first", tokens.SCOPES, first)
            Planned(home.token, first + "\n", 0o600).write()
        if "peers" not in known:
            tokens.add(file, "peers", PEER_SCOPES, between)
        Planned(home.root / "peer_token", between + "\n", 0o600, accounts.run).write()
        if accounts.privileged:
            for path in (file, file.with_name(file.name + ".lock")):
                shutil.chown(path, accounts.run.uid, accounts.run.gid)

    def _ini(self, name: str) -> str:
        peers = ", ".join(f"{peer}={self.url(peer)}" for peer in ADDRESSES)
        settings = {
            "node.name": name,
            "node.listen": f"{ADDRESSES[name]}:{self._port}",
            "cluster.peers": peers,
            "cluster.accept_deletes": str(name == "ic00").lower(),
        }
        overrides = ";".join(f"{option}={value}" for option, value in settings.items())
        sample = self._checkout / "image_cloud.ini"
        return render(load_config(sample, home="{home}", overrides=overrides))


def _all_end_well(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Wait for every one; say whether all of them returned 0."""
    codes = [process.wait() for process in processes]
    return not any(codes)


def main() -> int:
    """Do what the arguments say; 0 when it is done."""
    parser = argparse.ArgumentParser(prog="image_cloud.stack.cluster")
    parser.add_argument("command", choices=("up", "down", "start", "stop"))
    parser.add_argument("node", nargs="?", choices=tuple(ADDRESSES))
    arguments = parser.parse_args()
    if arguments.command in ("start", "stop") and not arguments.node:
        parser.error(f"NODE= is missing: one of {', '.join(ADDRESSES)}")
    try:
        return _run(arguments.command, [arguments.node] if arguments.node else list(ADDRESSES))
    except (CannotStart, ConfigError, OSError) as error:
        print(f"image cloud: {error}", file=sys.stderr)
        return 1


def _run(command: str, names: list[str]) -> int:
    os.umask(0o022)
    root = Path(os.path.realpath(os.environ.get("IMAGE_CLOUD_HOME") or Path.cwd() / "var"))
    cluster = Cluster(root, Path.cwd(), os.environ)
    if command in ("down", "stop"):
        return 0 if cluster.stop(names) else 1
    if not cluster.start(names):
        if command == "up":
            cluster.stop(names)
        return 1
    print("image cloud: " + ", ".join(f"{name} {cluster.url(name)}" for name in names), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
