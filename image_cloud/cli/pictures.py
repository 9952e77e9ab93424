"""`image-cloud get`: ask the node for one picture."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from image_cloud.cli.access import CommandError
from image_cloud.cli.node_client import NodeClient, check
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.params import ImageParameters

TIMEOUT_S = 120


def add_commands(commands: Any) -> None:
    """Add `get`."""
    get = commands.add_parser("get", help="get a picture through the node")
    get.add_argument("url")
    get.add_argument(
        "--output", "-o", metavar="FILE", help="write it here; default: standard output"
    )
    get.add_argument(
        "parameters", nargs="*", metavar="NAME=VALUE", help="more of /get_image's parameters"
    )
    get.set_defaults(run=run_get)


def run_get(arguments: argparse.Namespace) -> None:
    """Write the picture."""
    parameters = dict(part.partition("=")[::2] for part in arguments.parameters)
    known = ImageParameters(Resize(), ENCODABLE).names() - {"url"}
    for name in parameters:
        if name not in known:
            raise CommandError(
                f"{name}: no parameter of a picture; there are {', '.join(sorted(known))}"
            )
    if not arguments.output and os.isatty(sys.stdout.fileno()):
        raise CommandError("a picture is nothing for a terminal: give -o FILE, or redirect")
    query = {"url": arguments.url, **parameters}
    answer = NodeClient.of(arguments).ask("GET", "/get_image", TIMEOUT_S, params=query)
    check(answer)
    if arguments.output:
        with open(arguments.output, "wb") as file:
            file.write(answer.content)
    else:
        sys.stdout.buffer.write(answer.content)
