"""What the decoder tells of itself: `curl --unix-socket run/sockets/decoder.sock http://localhost/`."""

from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass
class Counts:
    """What has happened since the start.

    `deaths`: workers that ended at a picture, `kills`: those of them that took too long; `refused`:
    requests that found the queue full.
    """

    done: int = 0
    deaths: int = 0
    kills: int = 0
    refused: int = 0


def http_answer(status: dict[str, int]) -> bytes:
    """Return a whole HTTP response."""
    body = json.dumps(status).encode() + b"\n"
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
