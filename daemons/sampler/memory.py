"""The memory of the node's processes, by program: all that supervisord has started."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PROC = Path("/proc")
PAGE_KB = 4
_POOL = re.compile(rb"(?:^|\0)IMAGE_CLOUD_POOL=([a-z]+)\0")
_MODULE = re.compile(r"(?:daemons|image_cloud\.supervision)\.([a-z_]+)")


def memory_of(supervisord_pid: int, proc: Path = PROC) -> dict[str, int]:
    """Return the bytes of memory by program, supervisord's own among them; nothing where it does not run.

    What processes share counts once (PSS); of another user's processes, of which the kernel does not tell
    that, only what is not of a file.
    """
    parents = dict(_parents(proc))
    sums: dict[str, int] = {}
    for pid in parents:
        top = _top(pid, supervisord_pid, parents)
        if top:
            program = _program(proc / str(top))
            sums[program] = sums.get(program, 0) + _bytes(proc / str(pid))
    return sums


def _parents(proc: Path) -> Iterator[tuple[int, int]]:
    """Yield each process's id and that of its parent."""
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (folder / "stat").read_text(errors="replace")
                yield int(folder.name), int(stat.rpartition(")")[2].split()[1])


def _top(pid: int, root: int, parents: Mapping[int, int]) -> int | None:
    """Return the child of `root` that a process is or descends from, or `root`; None for others."""
    while pid != root and parents.get(pid, 0) != root:
        pid = parents.get(pid, 0)
        if not pid:
            return None
    return pid if pid in parents else None


def _program(folder: Path) -> str:
    """Return the name of the program whose first process this is."""
    with contextlib.suppress(OSError):
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if found := _MODULE.search(command):
            return found[1].replace("_", "-")
        for word in ("supervisord", "nginx", "postgres"):
            if word in command:
                return word
        if pool := _POOL.search((folder / "environ").read_bytes()):
            return pool[1].decode()
    return "other"


def _bytes(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = (folder / "smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, resident, shared = (folder / "statm").read_text().split()[:3]
        return 1024 * PAGE_KB * max(0, int(resident) - int(shared))
    return 0
