"""Starts the stack's supervisord."""

from __future__ import annotations

import ctypes
import resource
import signal
import subprocess

from image_cloud.node_files.home import Home
from image_cloud.node_files.supervisor import bin_folder
from image_cloud.stack.processes import clean_environment

PR_SET_PDEATHSIG = 1


def start(home: Home, *, ends_with_us: bool) -> subprocess.Popen[bytes]:
    """Start supervisord in a session of its own, so that Ctrl-C reaches us alone."""
    with open(home.log / "supervisord.err", "wb") as complaints:
        return subprocess.Popen(  # noqa: S603
            [bin_folder() / "supervisord", "--nodaemon", "-c", home.supervisord_conf],
            env=clean_environment(home),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            start_new_session=True,
            preexec_fn=_with_parent_and_without_core if ends_with_us else _without_core,
        )


def _without_core() -> None:
    """Have no process of the stack leave its memory, and so secrets, in a file when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _with_parent_and_without_core() -> None:
    """Have the kernel send SIGTERM when the parent dies, too, however that comes about (prctl(2))."""
    _without_core()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
