"""libvips with as little around it as possible: in a loop, and behind the smallest server.

It stands in for peers that are compiled (imgproxy, imagor, weserv), of which no package exists here: they, too, call
`thumbnail` of libvips on what they have downloaded.  It runs in the bench's own environment, and imports nothing of
ours.  Nothing is checked, nothing is kept.

    vips.py loop SIDE          reads paths from stdin
    vips.py serve PORT COUNT   GET /FORMAT/SIDE/URL, from COUNT processes
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pyvips

QUALITY = {"jpg": 85, "webp": 85, "avif": 69}  # and effort 1 for AVIF: as Image Cloud writes them
THREADS_KEPT = threading.local()


def main() -> None:
    pyvips.cache_set_max(0)  # of operations: every picture is a new one
    if sys.argv[1] == "loop":
        loop(int(sys.argv[2]))
    else:
        serve(int(sys.argv[2]), int(sys.argv[3]))


def loop(side: int) -> None:
    """Make a JPEG of each file that is named on stdin."""
    print("ready", flush=True)
    for line in sys.stdin:
        with open(line.strip(), "rb") as file:
            made(file.read(), side, "jpg")


def made(data: bytes, side: int, format: str) -> bytes:
    """Return the picture, fitted into a box of `side` pixels."""
    image = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down")
    options = {"effort": 1} if format == "avif" else {}
    return bytes(image.write_to_buffer(f".{format}", Q=QUALITY[format], keep="none", **options))


class Handler(BaseHTTPRequestHandler):
    """Downloads, resizes, answers; connections stay open on both sides."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self) -> None:
        _, format, side, url = self.path.split("/", 3)
        try:
            body, status = made(downloaded(url), int(side), format), 200
        except (OSError, http.client.HTTPException, pyvips.Error) as error:
            body, status = str(error).encode(), 502
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 4096


def downloaded(url: str) -> bytes:
    """Return the body of `url`, by this thread's connection to its host."""
    parts = urlsplit(url)
    kept: dict[str, http.client.HTTPConnection] = THREADS_KEPT.__dict__
    connection = kept.get(parts.netloc)
    if connection is None:
        kept[parts.netloc] = connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        raise
    if answer.status != 200:
        raise OSError(f"the origin said {answer.status}")
    return body


def serve(port: int, count: int) -> None:
    """Serve from `count` processes that share the socket."""
    server = Server(("127.0.0.1", port), Handler, bind_and_activate=False)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.server_bind()
    server.server_activate()
    for _ in range(count - 1):
        if not os.fork():
            break
    server.serve_forever()


if __name__ == "__main__":
    main()
