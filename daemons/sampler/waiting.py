"""How many requests wait in the pools' sockets, before a pool takes them: the kernel tells (sock_diag(7))."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
REQUEST, DUMP = 0x001, 0x300
LISTENING = 1 << 10
SHOW_NAME, SHOW_QUEUE = 0x01, 0x10
NAME, QUEUE = 0, 4
DONE, ERROR = 3, 2
TIMEOUT_S = 1.0
_HEADER, _ASKED, _FOUND = (
    struct.Struct("=IHHII"),
    struct.Struct("=BBHIIIII"),
    struct.Struct("=BBBBIII"),
)
_ATTRIBUTE = struct.Struct("=HH")


def waiting_in(paths: Mapping[str, str]) -> dict[str, int]:
    """Return by the names of `paths` how many connections wait for their socket; others are left out."""
    try:
        found = dict(_queues())
    except (OSError, struct.error):  # a kernel without unix_diag
        return {}
    return {name: found[path] for name, path in paths.items() if path in found}


def _queues() -> Iterator[tuple[str, int]]:
    """Yield path and queue of every listening unix socket.  Raises OSError, struct.error."""
    asked = _ASKED.pack(socket.AF_UNIX, 0, 0, LISTENING, 0, SHOW_NAME | SHOW_QUEUE, 0, 0)
    head = _HEADER.pack(_HEADER.size + len(asked), SOCK_DIAG_BY_FAMILY, REQUEST | DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.sendto(head + asked, (0, 0))
        while True:
            for kind, body in _messages(sock.recv(1 << 16)):
                if kind in (DONE, ERROR):
                    return
                yield from _socket(body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(max(length, _HEADER.size)) :]


def _socket(body: bytes) -> Iterator[tuple[str, int]]:
    """Yield a socket that has a path, with its queue."""
    attributes = dict(_attributes(body[_FOUND.size :]))
    path = attributes.get(NAME, b"").rstrip(b"\0")
    if path and QUEUE in attributes:
        yield os.fsdecode(path), struct.unpack_from("=I", attributes[QUEUE])[0]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
