"""Landlock: a process gives up files, TCP and signals to others, whatever its user may do.

Where the kernel has none of it, or not all, as much as there is; linux/landlock.h has the numbers.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

import daemons
import image_cloud

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a folder
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by version, as a number of bits; later ones have 16
_BOTH = 3  # TCP: bind and connect; scopes: abstract sockets and signals
_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the kernel's version of Landlock, less than 1 without any."""
    return int(_libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION))


def restrict(readable: Iterable[Path]) -> bool:
    """Leave this process and its children only what is below `readable`; say whether the kernel does so."""
    known = version()
    if known < 1:
        return False
    files = (1 << _FILE_RIGHTS.get(known, 16)) - 1
    rights = struct.pack("QQQ", files, _BOTH if known >= 4 else 0, _BOTH if known >= 6 else 0)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = _libc.syscall(_CREATE_RULESET, rights, size, 0)
    for path in readable:
        _allow(ruleset, path)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = _libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return bool(done == 0)


def code() -> list[Path]:
    """Return where code is that may be loaded late."""
    packages = [Path(package.__path__[0]) for package in (daemons, image_cloud)]
    places = [
        *packages,
        Path(sys.prefix),
        Path(sys.base_prefix, "lib"),
        Path("/lib"),
        Path("/lib64"),
    ]
    return [path for path in places if path.exists()]


def _allow(ruleset: int, path: Path) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", _READ, folder), 0)
    os.close(folder)
