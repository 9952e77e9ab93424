"""The decoder daemon for tests: the real program, below a folder of its own, without its sandbox."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image_cloud.config import Config, load_config
from image_cloud.config.sample import render
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.decoding.asking import Made
from image_cloud.decoding.client import Decoder
from image_cloud.decoding.maker import Maker
from image_cloud.fetch.flights import Flights
from image_cloud.process.sockets import socket_path
from image_cloud.storage.failures import Failures
from image_cloud.storage.store import Store

CHECKOUT = Path(__file__).parents[1]
DEADLINE_S = 60.0


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, what or condition
        time.sleep(0.01)
    return value


def configured(folder: Path, settings: str = "") -> Config:
    """Return the configuration of a decoder whose socket is below `folder`."""
    (folder / "run" / "sockets").mkdir(parents=True, exist_ok=True)
    return load_config(None, home=str(folder), overrides=settings)


class Daemon:
    """A running decoder; a context manager that ends it.

    It is handed the socket `listening`, as by supervisord; without, it makes its own.
    """

    def __init__(self, config: Config, listening: socket.socket | None = None) -> None:
        self._listening = listening
        self.config = config
        self.path = socket_path(config.node.run, "decoder")
        self._ini = Path(config.node.run) / "decoder.ini"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        self._ini.write_text(render(self.config, comments=False))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {**os.environ, "IMAGE_CLOUD_CONFIG": str(self._ini)}
        stdin = self._listening.fileno() if self._listening else subprocess.DEVNULL
        command = [sys.executable, "-m", "daemons.decoder"]
        self.process = subprocess.Popen(command, env=environment, stdin=stdin)
        eventually(self.status, "it answers")

    def client(self, patience_s: float = DEADLINE_S) -> Decoder:
        return Decoder(self.path, patience_s)

    def status(self) -> dict[str, int] | None:
        return self.client().status()

    def count(self, name: str) -> int:
        status = self.status()
        assert status
        return status[name]

    def workers(self) -> list[int]:
        """Return the ids of its workers' processes."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self) -> None:
        """Have it end in order, and wait for that."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0


def maker_of(store: Store, path: str, settings: Resize, failures: Failures | None = None) -> Maker:
    """Return what makes variants of the pictures in `store` through the decoder at `path`."""
    turns: Flights[Made] = Flights(store.root / "incoming" / ".decoding", DEADLINE_S)
    known = failures or Failures(store.root, FailureSettings())
    return Maker(store, known, Decoder(path, DEADLINE_S), turns, settings)


def library_without_webp(folder: Path) -> str:
    """Make what looks like a build of PIL that writes JPEG and PNG alone; return it as a PYTHONPATH."""
    library = folder / "library/PIL"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    (library / "Image.py").write_text("SAVE = {'JPEG': 1, 'PNG': 1}\ndef init(): pass\n")
    (library / "features.py").write_text("def check(name): return False\n")
    return str(library.parent)
