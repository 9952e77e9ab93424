"""Runs a module of tests in namespaces of its own, so that nothing of it is left however it ends."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
PR_SET_PDEATHSIG = 1
NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def heed_signals() -> None:
    """Have a signal that ends us raise KeyboardInterrupt, so that `finally` blocks clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def run(module: str, arguments: Sequence[str]) -> int:
    """Run `python -m MODULE ARGUMENTS` as the first process of new namespaces; return its exit status."""
    inner = [sys.executable, "-m", module, *arguments]
    loopback = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    command = ["unshare", *NAMESPACES, *loopback, *inner]
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=_end_with_parent)
    try:
        return process.wait()
    finally:
        process.kill()  # and all of its namespaces with it
        process.wait()


def _end_with_parent() -> None:
    """Have the kernel end unshare, and with it all namespaces, when we are killed (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
