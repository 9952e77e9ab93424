"""Four real nodes, as `make cluster` starts them on 127.0.0.10 to .13, with a network that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from image_cloud.config import load_config
from image_cloud.config.sample import render
from image_cloud.picture.key import key_of
from tests.cluster import namespaces
from tests.cluster.links import Links
from tests.cluster.namespaces import Namespaces
from tests.stack.running import CHECKOUT, Stack

NAMES = ("ic00", "ic01", "ic02", "ic03")
HOSTS = {name: f"127.0.0.{10 + number}" for number, name in enumerate(NAMES)}
DEADLINE_S = 60.0
# Small nodes, since four of them share what is one machine, and waits that suit a test.
SETTINGS = {
    "download.allow_networks": "127.0.0.0/8",
    "download.total_timeout": "10 s",
    "pools.front_workers": "1",
    "pools.fetch_workers": "1",
    "pools.fetch_threads": "24",
    "pools.resize_workers": "1",
    "janitor.interval": "500 ms",
    "janitor.audit_bytes_per_second": "100 MB",
    "janitor.audit_pause": "1 s",
    "cluster.workers": "4",
    "cluster.read_timeout": "2 s",
    "cluster.poll": "2 s",
    "cluster.retry": "200 ms",
    "cluster.longest_retry": "2 s",
    "failures.first_keep": "100 ms",
    "failures.longest_keep": "1 s",
    "failures.not_found_keep": "1 s",
}


class Node(Stack):
    """One node: a stack that the cluster's own commands start and stop."""

    def __init__(self, root: Path, name: str, listen: str, checkout: Path = CHECKOUT) -> None:
        super().__init__(root / name, listen=listen, checkout=checkout)
        self.name = name

    def ask(self, path: str, method: str = "GET", **parameters: Any) -> requests.Response:
        return requests.request(
            method,
            self.url + path,
            params=parameters,
            headers={"X-Image-Cloud-Token": self.token},
            timeout=20,
        )

    def get(self, url: str, **parameters: Any) -> requests.Response:
        return self.ask("/get_image", url=url, **parameters)

    def has(self, url: str) -> bool:
        return self.get(url, only_send_if_local="true").status_code == 200

    def delete(self, url: str, **parameters: Any) -> dict[str, Any]:
        answer = self.ask("/delete_image", "DELETE", url=url, **parameters)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def backlog(self) -> int:
        return int(self.psql("select count(*) from clone_requests"))

    def original(self, url: str) -> Path:
        """Return the file of `url`."""
        key = key_of(url)
        folder = self.home / "storage/originals" / key[:2] / key[2:4]
        return next(path for path in folder.iterdir() if path.name.startswith(key))

    def files(self) -> dict[str, bytes]:
        """Return every original on disk by its key."""
        folder = self.home / "storage/originals"
        return {path.name.partition(".")[0]: path.read_bytes() for path in folder.glob("??/??/*.*")}

    def tables(self) -> dict[str, str]:
        """Return the catalogue's SHA-256 by key."""
        rows = self.psql("select key, sha256 from images where deleted_at is null")
        return dict(line.split("|") for line in rows.split())

    def is_counted(self, url: str) -> bool:
        """Say whether the catalogue has `url`."""
        return (
            self.psql(f"select 1 from images where url = '{url}' and deleted_at is null") == "1\n"
        )

    @contextlib.contextmanager
    def without_database(self) -> Iterator[Path]:
        """Have PostgreSQL and its clients stopped for a while; give the folder of its data."""
        programs = ["image-cloud-peer-clone", "image-cloud-janitor", "postgres"]
        self.supervisorctl("stop", *programs)
        try:
            yield self.home / "postgres"
        finally:
            self.supervisorctl("start", *reversed(programs))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop every process of the node with SIGSTOP for a while: it hangs, and does not refuse."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process of the node."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End every process at once, as a power cut does."""
        deadline = time.monotonic() + DEADLINE_S
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, left

    def wipe(self) -> None:
        """Lose everything but the configuration; the node is down."""
        for folder in self.data():
            shutil.rmtree(folder, ignore_errors=True)

    def data(self) -> list[Path]:
        """Return the folders of everything but the configuration."""
        return [self.home / name for name in ("storage", "postgres", "run")]


class Nodes:
    """The four nodes; a context manager.

    They stand on loopback with relays between them, or each in a network namespace of its own.
    """

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, str] = {},
        spaces: Namespaces | None = None,
        checkout: Path = CHECKOUT,
    ) -> None:
        self.root = root
        self.checkout = checkout
        self._spaces = spaces
        self.port = namespaces.PORT if spaces else free_port()
        hosts = spaces.hosts if spaces else HOSTS
        self.all = {
            name: Node(root, name, f"{hosts[name]}:{self.port}", checkout) for name in NAMES
        }
        self.links = spaces or Links({name: (HOSTS[name], self.port) for name in NAMES})
        self._settings = {**SETTINGS, **settings}

    def __enter__(self) -> Nodes:
        self.links.__enter__()
        for name, node in self.all.items():
            node.home.mkdir(parents=True, exist_ok=True)
            self.write_ini(name)
        if self._spaces:
            self.start(*NAMES)
        else:
            self.make("cluster")
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.all.values():
            node.send(signal.SIGCONT)
        self.make("cluster-down")
        self.links.__exit__()

    def __getitem__(self, name: str) -> Node:
        return self.all[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.all.values())

    def options(self, name: str) -> dict[str, str]:
        """Return the options of a node that are not the default's."""
        peers = [f"{peer}={self.links.urls[name, peer]}" for peer in NAMES if peer != name]
        return {
            "node.name": name,
            "node.listen": self[name].listen,
            "cluster.peers": ", ".join(peers),
            "cluster.accept_deletes": str(name == "ic00").lower(),
            **self._settings,
        }

    def write_ini(self, name: str, **settings: str) -> None:
        """Write a node's ini; options are written like `cluster__replicas`."""
        own = {option.replace("__", "."): value for option, value in settings.items()}
        options = self.options(name) | own
        overrides = ";".join(f"{option}={value}" for option, value in options.items())
        config = load_config(CHECKOUT / "image_cloud.ini", home="{home}", overrides=overrides)
        (self.all[name].home / "image_cloud.ini").write_text(render(config))

    def start(self, *names: str) -> None:
        for name in names:
            inside = self._spaces.inside(name) if self._spaces else []
            self.make("node-start", f"NODE={name}", where=inside)

    def stop(self, *names: str) -> None:
        for name in names:
            self.make("node-stop", f"NODE={name}")

    def reconfigure(self, **settings: str) -> None:
        """Start all nodes anew with other settings."""
        for name in self.all:
            self.write_ini(name, **settings)
        self.make("cluster")

    def make(self, *words: str, where: Sequence[str] = ()) -> str:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("IMAGE_CLOUD_", "MAKE", "MFLAGS"))
        }
        own = {"IMAGE_CLOUD_HOME": str(self.root), "IMAGE_CLOUD_LISTEN": f"127.0.0.10:{self.port}"}
        done = subprocess.run(
            [*where, "make", "--no-print-directory", *words], cwd=self.checkout, env=inherited | own,
            timeout=400, text=True, stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def settle(self, names: Iterable[str] = NAMES) -> None:
        """Wait until these nodes see each other and nothing is left to clone."""
        wanted = set(names)

        def is_settled() -> bool:
            return all(self._sees(name, wanted - {name}) for name in wanted) and not any(
                self[name].backlog() for name in wanted
            )

        eventually(is_settled, "the cluster settles")

    def _sees(self, name: str, others: set[str]) -> bool:
        answer = self[name].ask("/alternative_clouds").json()
        alive = {cloud["name"] for cloud in answer["alternative_clouds"] if cloud["alive"]}
        return others <= alive


def eventually(condition: Callable[[], Any], what: str, deadline_s: float | None = None) -> Any:
    """Return the first true value of `condition`; fail after a deadline.

    A file that is not there counts as not yet: healing sets one aside before its successor comes.
    """
    deadline = time.monotonic() + (deadline_s or DEADLINE_S)
    while True:
        error: Exception | None = None
        try:
            if value := condition():
                return value
        except (requests.RequestException, AssertionError, FileNotFoundError) as problem:
            error = problem
        assert time.monotonic() < deadline, f"never came true: {what} ({error})"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that is free on all four addresses."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((HOSTS["ic00"], 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError):
                for name in NAMES[1:]:
                    stack.enter_context(socket.socket()).bind((HOSTS[name], port))
                return port
