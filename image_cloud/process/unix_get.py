"""GET over a unix socket without http.client, which would take a small process 2 MB of memory."""

from __future__ import annotations

import socket
import time
from typing import Any

from image_cloud.process import json_file

INTERNAL = "X-Image-Cloud-Internal: 1"
"""What opens the addresses that only nginx asks else (falcon_app/middleware.py)."""

OK = 200
MOST_BYTES = 1 << 20
_HEAD_ENDS = b"\r\n\r\n"


def get(path: str, address: str, timeout_s: float) -> tuple[int, bytes]:
    """Return status and body of what the server at the socket `path` answers.  Raises OSError, ValueError."""
    request = f"GET {address} HTTP/1.0\r\nHost: localhost\r\n{INTERNAL}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as sock:
        answer = _exchange(sock, path, request.encode(), timeout_s)
    head, end, body = answer.partition(_HEAD_ENDS)
    if not end:
        raise ValueError("no whole head")
    return int(head.partition(b" ")[2][:3]), body


def get_json(path: str, address: str, timeout_s: float) -> Any:
    """Return the JSON that the server at the socket `path` answers; None where it does not in time."""
    try:
        status, body = get(path, address, timeout_s)
        return json_file.parse(body) if status == OK else None
    except (OSError, ValueError):
        return None


def answers(path: str, timeout_s: float) -> bool:
    """Say whether the server at the socket `path` answers /health."""
    try:
        return get(path, "/health", timeout_s)[0] == OK
    except (OSError, ValueError):
        return False


def _exchange(sock: socket.socket, path: str, request: bytes, timeout_s: float) -> bytes:
    """Return all that the server sends until it closes.  Raises OSError, ValueError."""
    deadline = time.monotonic() + timeout_s
    sock.settimeout(timeout_s)
    sock.connect(path)
    sock.sendall(request)
    answer = bytearray()
    while piece := sock.recv(1 << 16):
        answer += piece
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        if len(answer) > MOST_BYTES:
            raise ValueError("too much")
    return bytes(answer)
