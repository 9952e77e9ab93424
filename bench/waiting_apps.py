"""What a fetch pool does with a miss, as little as can be, for a threaded server and for an event loop.

Ask a slow origin, hash what it sends, write it to a file, fsync, give it its name, answer 4 kB.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import itertools
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

HOST, PORT = os.environ.get("BENCH_ORIGIN", ":0").split(":")
FOLDER = os.environ.get("BENCH_FOLDER", "")
FILES_IN_THREADS = bool(os.environ.get("BENCH_FILES_IN_THREADS"))
ANSWER = b"x" * 4096
_numbers = itertools.count()


def store(body: bytes) -> None:
    """Write a file so that it lasts."""
    path = f"{FOLDER}/{os.getpid()}-{next(_numbers)}"
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT, 0o600)
    hashlib.sha256(body)
    os.write(descriptor, body)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(f"{path}.new", path)


def threaded(
    _environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """WSGI: a thread waits."""
    connection = http.client.HTTPConnection(HOST, int(PORT))
    connection.request("GET", "/")
    store(connection.getresponse().read())
    connection.close()
    start_response("200 OK", [("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


async def looping(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """ASGI: the event loop waits, and threads write the files if the environment says so."""
    if scope["type"] != "http":
        return
    reader, writer = await asyncio.open_connection(HOST, int(PORT))
    writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r", 1)[0])
    body = await reader.readexactly(length)
    writer.close()
    if FILES_IN_THREADS:
        await asyncio.to_thread(store, body)
    else:
        store(body)
    headers = [(b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
