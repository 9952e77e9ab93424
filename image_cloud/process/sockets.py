"""Where pools and decoder listen, one unix socket each below the run folder; and single steps on sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

POOLS = ("front", "fetch", "control")
SERVERS = (*POOLS, "decoder")
"""What listens on a socket; each answers GET /health there."""


def socket_path(run: str, server: str) -> str:
    """Return the socket of one of SERVERS, as supervisor.d names it too; root owns the folder."""
    return f"{run}/sockets/{server}.sock"


def take_over() -> int | None:
    """Return a descriptor of the listening socket that stdin is, None where it is none.

    supervisord hands it over so; stdin becomes /dev/null.
    """
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        return None
    listening = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return listening


def shut(sock: socket.socket) -> None:
    """Wake whoever waits on `sock`; SSLSocket.shutdown would let a reader go on in clear."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def split(listen: str) -> tuple[str, int]:
    """Return address and port of `ADDRESS:PORT`; `*` becomes 0.0.0.0."""
    address, _, port = listen.rpartition(":")
    return {"*": "0.0.0.0"}.get(address, address.strip("[]")), int(port)  # noqa: S104
