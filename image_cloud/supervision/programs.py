"""What supervisord says of its programs."""

from __future__ import annotations

import dataclasses
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from image_cloud.node_files.home import Home


@dataclasses.dataclass(frozen=True)
class Program:
    """One supervised program as it is now; `started` is seconds since 1970."""

    name: str
    state: str
    started: int
    log: str


def connect(socket_file: Path) -> Any:
    """Return supervisord's XML-RPC interface `supervisor`; its calls raise xmlrpc.client.Error, OSError."""
    transport = SupervisorTransport(None, None, f"unix://{socket_file}")
    proxy: Any = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
    return proxy.supervisor


def programs(home: Home) -> list[Program]:
    """Return the state of every program.  Raises OSError while supervisord does not answer."""
    try:
        rows = connect(home.supervisor_sock).getAllProcessInfo()
    except xmlrpc.client.Error as error:
        raise OSError(str(error)) from error
    return [
        Program(row["name"], row["statename"], row["start"], row["stdout_logfile"]) for row in rows
    ]
