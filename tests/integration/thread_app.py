"""An application that tells which thread answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the thread's id."""
    body = str(threading.get_native_id()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
