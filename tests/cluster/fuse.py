"""A folder that another process serves, by FUSE: it can fall silent, die, be read-only, and be taken away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

DEADLINE_S = 20.0


def why_not() -> str:
    """Say why this machine cannot have one; empty where it can."""
    if os.geteuid() != 0:
        return "a mount needs root"
    if not shutil.which("bindfs"):
        return "bindfs not found: apt-get install bindfs"
    return "" if os.path.exists("/dev/fuse") else "there is no /dev/fuse"


class Served:
    """`path` shows what is in `behind`; a context manager.

    With a `log` each request of the kernel is written there; `options` are those of the mount.
    """

    def __init__(
        self, behind: Path, path: Path, *, log: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        self.behind = behind
        self.path = path
        self._log = log
        self._options = ",".join(["allow_other", "nonempty", *options])
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Served:
        for folder in (self.behind, self.path):
            folder.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.take_away()

    def mount(self, *more: str) -> None:
        """Mount it, with `more` options; return when it can be used."""
        how, options = "-d" if self._log else "-f", ",".join([self._options, *more])
        command = ["bindfs", how, "-o", options, str(self.behind), str(self.path)]
        with open(self._log or os.devnull, "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE_S
        while not os.path.ismount(self.path):
            assert time.monotonic() < deadline, f"{self.path} is not mounted"
            time.sleep(0.01)

    def pause(self) -> None:
        """Have it say nothing: who touches it waits."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill what serves it: the mount stays, and answers ENOTCONN."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def take_away(self) -> None:
        """Unmount it whatever its state: the folder below it is left."""
        self.kill()
        subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True)

    def _send(self, number: signal.Signals) -> None:
        assert self._process, "it is not mounted"
        self._process.send_signal(number)
