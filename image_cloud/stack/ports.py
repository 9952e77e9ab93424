"""Is a port free, and if not, who has it?"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from image_cloud.node_files.errors import CannotStart
from image_cloud.process.sockets import split


def require_free(listen: str) -> None:
    """Raise CannotStart with the reason where `listen` cannot be listened on."""
    address, port = split(listen)
    try:
        _bind(address, port)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is taken{_by_whom(port)}",
            errno.EADDRNOTAVAIL: f"this machine has no address {address}",
            errno.EACCES: f"only root may listen on port {port}",
        }
        reason = reasons.get(error.errno or 0, error.strerror)
        raise CannotStart(f"cannot listen on {listen}: {reason}") from None


def is_free(listen: str) -> bool:
    """Say whether `listen` can be listened on."""
    try:
        _bind(*split(listen))
    except OSError:
        return False
    return True


def any_free(address: str) -> int:
    """Return a port that the kernel holds for free."""
    return _bind(address, 0)


def _bind(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen(1)
        return int(probe.getsockname()[1])


def _by_whom(port: int) -> str:
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry) in inodes:
                process = entry.parent.parent
                return f" by {(process / 'comm').read_text().strip()}, process {process.name}"
    return " by another process"


def _listening_inodes(port: int) -> list[str]:
    """Read /proc/net/tcp: local address in field 1, state in 3 (0A: listening), inode in 9."""
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows += [line.split() for line in Path(table).read_text().splitlines()[1:]]
    return [row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]
