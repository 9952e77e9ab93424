"""Two nodes on one volume and one PostgreSQL, an origin, and a ledger of what they acknowledged."""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import requests

from tests.cluster.nodes import SETTINGS, Node, eventually
from tests.origin import Origin
from tests.shared_storage.database import Pair
from tests.shared_storage.ledger import Ledger
from tests.shared_storage.load import Answer, Load
from tests.shared_storage.mount import Mount
from tests.shared_storage.volume import Volume
from tests.stack.running import free_port

NAMES = ("ic00", "ic01")
# What docs/scaling.md recommends: deletes are seen at once.
MOUNT_OPTIONS = ("--attribute-timeout=0", "--entry-timeout=0")
LIMITED, LIMIT = "localhost", 2  # a domain, and its line in max_downloads.json
GONE_S = 1.0  # so long may a node send what another one has deleted
BACK_S = 20.0  # so long may a node take until it serves as before once the storage is back


class SharedNode(Node):
    """A node with its originals on a mount of the volume."""

    def __init__(self, root: Path, name: str, mount: Mount, dsn: str) -> None:
        super().__init__(root, name, f"127.0.0.1:{free_port()}")
        self.mount = mount
        options = SETTINGS | {
            "node.name": name,
            "storage.path": f"{mount.path}/storage",
            "storage.variants_path": f"{self.home}/variants",
            "database.dsn": dsn,
            "database.connect_timeout": "1 s",
            "cluster.shared_storage": "true",
            "failures.first_keep": "10 s",  # a failure is shared, too, by who asks late
            "failures.longest_keep": "10 s",
        }
        self.settings = ";".join(f"{option}={value}" for option, value in options.items())

    def start(self, *, settings: str | None = None) -> str:
        self.home.mkdir(exist_ok=True)
        (self.home / "max_downloads.json").write_text(json.dumps({LIMITED: LIMIT}))
        return super().start(settings=settings)

    def thumbnail(self, url: str) -> requests.Response:
        return self.ask("/get_thumbnail", url=url)


class World:
    """All of it; a context manager."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long each fault lasts."""
        self.seconds = seconds
        self._stack = contextlib.ExitStack()
        self.ledger = Ledger()

    def __enter__(self) -> World:
        with contextlib.ExitStack() as stack:
            self._root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ic-shared-")))
            self._root.chmod(0o755)
            self.volume = stack.enter_context(Volume())
            self.database = stack.enter_context(Pair())
            self.origin = stack.enter_context(Origin())
            self.nodes = [self._node(name) for name in NAMES]
            stack.callback(self._together, self._stop)
            self._together(lambda node: node.start())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def load(self) -> Iterator[Load]:
        """Have clients store, read and delete at all nodes for a while."""
        with Load(self.nodes, self.origin, self.ledger) as load:
            yield load

    def await_well(self) -> None:
        """Return when each node reads and stores as before."""
        with Load(self.nodes, self.origin, self.ledger, clients=0) as load:
            eventually(load.is_well, "each node reads and stores again", BACK_S)

    def await_catalogue(self) -> None:
        """Return when the database knows each store and each delete that was acknowledged."""
        eventually(lambda: not self._unknown(), "the catalogue is complete", BACK_S)

    def logged(self, answer: Answer) -> str:
        """Return the lines of its node's logs that tell of a request."""
        node = next(node for node in self.nodes if node.name == answer.node)
        lines = [
            f"  {path.name}: {line}"
            for path in sorted((node.home / "log").rglob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if answer.request and answer.request in line
        ]
        return "\n".join(lines)

    def _unknown(self) -> set[str]:
        kept, deleted = self.ledger.kept(), self.ledger.deleted()
        connection = psycopg2.connect(self.database.dsn)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT url, deleted_at IS NULL FROM images")
            known = set(cursor.fetchall())
        wanted = {(url, True) for url in kept} | {(url, False) for url in deleted}
        return {url for url, _ in wanted - known}

    def _node(self, name: str) -> SharedNode:
        mount = self.volume.mount(name, *MOUNT_OPTIONS)
        return SharedNode(self._root, name, mount, self.database.dsn)

    def _together(self, work: Callable[[SharedNode], object]) -> None:
        """Do something with all nodes at once."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(work, self.nodes))

    def _stop(self, node: SharedNode) -> None:
        """End a node whatever its state, also one that hangs in its storage."""
        node.mount.resume()
        node.send(signal.SIGCONT)
        node.stop()
