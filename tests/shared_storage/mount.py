"""The volume as one node mounts it, by FUSE, and what can happen to a mount."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.nodes import eventually
from tests.shared_storage.hosts import START_S, Switch, start


class Mount:
    """A mount of `volume` at `path`, which any process may use; a context manager."""

    def __init__(
        self,
        switch: Switch,
        servers: Sequence[str],
        volume: str,
        path: Path,
        options: Sequence[str],
    ) -> None:
        """`options` are glusterfs(8)'s, such as `--entry-timeout=0`."""
        self.path = path
        self._switch = switch
        self._command = [
            "glusterfs", "--no-daemon", f"--volfile-id={volume}",
            *(f"--volfile-server={server}" for server in servers),
            f"--log-file={path.with_suffix('.log')}", *options, str(path),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mount:
        self.path.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount()

    def mount(self) -> None:
        """Mount it; return when it can be used."""
        self._process = start([*self._switch.inside(), *self._command])
        try:
            eventually(self._is_served, f"{self.path} is mounted", START_S)
        except BaseException:
            self.unmount()
            raise

    def unmount(self) -> None:
        """Take it away whatever its state, as `umount --lazy` does: an empty folder is left."""
        self.kill()
        detach = ["umount", "--lazy", str(self.path)]
        eventually(
            lambda: subprocess.run(detach, capture_output=True).returncode != 0, "it is unmounted"
        )

    def kill(self) -> None:
        """Kill the process that serves it: the mount stays and says ENOTCONN."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop the process that serves it: whoever touches the mount hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process, "it is not mounted"
        self._process.send_signal(number)

    def _is_served(self) -> bool:
        return os.path.ismount(self.path) and bool(os.statvfs(self.path).f_blocks)
