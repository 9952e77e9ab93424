"""`image-cloud top`: a node and its peers, live."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from typing import Any

from image_cloud.cli.access import CannotReach
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.cli.state import screen
from image_cloud.cli.state.reading import OK, read

LEAST_S, MOST_S = 1.0, 3600.0


def add_commands(commands: Any) -> None:
    """Add `top`."""
    top = commands.add_parser(
        "top", help="watch a node and its peers",
        description="Shows requests, hits, latencies, errors, queues and disks of the last 10 s, until "
        "Ctrl-C. Peers are asked with the same token. Prints once where the output is no terminal. The exit "
        "status of --once and --json is 1 where a node is degraded or does not answer.",
    )  # fmt: skip
    top.add_argument("--once", action="store_true", help="print once")
    top.add_argument("--json", action="store_true", help="as JSON, once")
    top.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between two looks (2)"
    )
    add_options(top)
    top.set_defaults(run=run_top)


def _seconds(text: str) -> float:
    value = float(text)
    if not LEAST_S <= value <= MOST_S:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEAST_S:.0f} to {MOST_S:.0f}")
    return value


def run_top(arguments: argparse.Namespace) -> int:
    """Print once, or again and again."""
    client = NodeClient.of(arguments)
    is_live = sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
    if is_live and not arguments.once and not arguments.json:
        return _watch(client, arguments.interval)
    seen = read(client)
    text = json.dumps(seen, indent=2) if arguments.json else "\n".join(screen.lines(seen))
    print(text)
    return 0 if all(node["state"] == OK for node in seen["nodes"]) else 1


def _watch(client: NodeClient, interval_s: float) -> int:
    """Draw until Ctrl-C, which is how it ends; a node that is away for a while is waited for."""
    _draw([])
    try:
        while True:
            _draw(_look(client))
            time.sleep(interval_s)
    except KeyboardInterrupt:
        return 0
    finally:
        sys.stdout.write(screen.END)
        sys.stdout.flush()


def _look(client: NodeClient) -> list[str]:
    """Return the lines of now.  Raises Refused."""
    coloured = "NO_COLOR" not in os.environ
    try:
        return list(screen.lines(read(client), coloured=coloured))
    except CannotReach as error:
        return [f"{time.strftime('%H:%M:%S')}  {error}; asking again"]


def _draw(found: list[str]) -> None:
    size = shutil.get_terminal_size()
    start = screen.AGAIN if found else screen.START
    sys.stdout.write(start + "\n".join(screen.fitted(found, size.columns, size.lines)))
    sys.stdout.flush()
