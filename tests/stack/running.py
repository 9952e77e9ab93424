"""A real stack for tests: started by `make up`, ended by `make down`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

CHECKOUT = Path(__file__).parents[2]
START_S = 300.0  # the first `make` of a checkout may have to install something


class Refused(Exception):
    """`make` ended with an error; the text is what it printed."""


class Stack:
    """One stack in `home`, of the code in `checkout`; without `listen` on a free port of 127.0.0.1."""

    def __init__(
        self, home: Path, *, listen: str = "", settings: str = "", checkout: Path = CHECKOUT
    ) -> None:
        self.home = home
        self.checkout = checkout
        self.listen = listen or f"127.0.0.1:{free_port()}"
        self.settings = settings

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self.listen}"

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    def env(self) -> dict[str, str]:
        """Return the environment that makes `make` and the CLI use this stack."""
        inherited = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("IMAGE_CLOUD_", "MAKE", "MFLAGS"))
        }
        own = {"HOME": str(self.home), "LISTEN": self.listen, "SET": self.settings}
        return inherited | {f"IMAGE_CLOUD_{name}": value for name, value in own.items()}

    def start(self, *, settings: str | None = None) -> str:
        """Run `make up` and return what it printed.  Raises Refused."""
        self.settings = self.settings if settings is None else settings
        return self.make("up")

    def stop(self) -> str:
        return self.make("down")

    def make(self, target: str) -> str:
        return self._run("make", "--no-print-directory", target, timeout=START_S)

    def cli(self, *arguments: str, timeout: float = 60.0) -> str:
        program = str(self.checkout / ".venv/bin/image-cloud")
        return self._run(program, *arguments, timeout=timeout)

    def supervisorctl(self, *arguments: str) -> str:
        conf = self.home / "run/supervisord.conf"
        program = self.checkout / ".venv/bin/supervisorctl"
        return self._run(str(program), "-c", str(conf), *arguments, check=False)

    @contextlib.contextmanager
    def without(self, program: str) -> Iterator[None]:
        """Have one program stopped for a while."""
        self.supervisorctl("stop", program)
        try:
            yield
        finally:
            self.supervisorctl("start", program)

    def psql(self, query: str) -> str:
        """Return the rows of `query`, columns separated by `|`."""
        place = [
            "-h",
            str(self.home / "run/postgres"),
            "-p",
            "5436",
            "-U",
            "image_cloud",
            "-d",
            "image_cloud",
        ]
        return self._run("psql", *place, "-X", "-A", "-t", "-c", query)

    def pid(self, program: str) -> int:
        """Return the process id of a program, 0 while it does not run."""
        return int(self.supervisorctl("pid", program))

    def supervisord(self) -> int:
        """Return the process id of supervisord."""
        return int((self.home / "run/supervisord.pid").read_text())

    def processes(self) -> dict[int, str]:
        """Return id and command of every process that this home can be seen in."""
        mark = str(self.home.resolve())
        folders = [folder for folder in Path("/proc").glob("[0-9]*") if _names(folder, mark)]
        return {int(folder.name): _command(folder) for folder in folders}

    def _run(self, *command: str, check: bool = True, timeout: float = 60.0) -> str:
        done = subprocess.run(
            command, cwd=self.checkout, env=self.env(), timeout=timeout, text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
        if check and done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _names(folder: Path, mark: str) -> bool:
    """Say whether a living process in /proc shows `mark`; ourselves and zombies do not count."""
    try:
        seen = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        seen += os.readlink(folder / "cwd").encode()
    except OSError:
        return False
    return mark.encode() in seen and int(folder.name) != os.getpid()


def _command(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
