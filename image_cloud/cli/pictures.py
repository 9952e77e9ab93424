"""`image-cloud get` and `image-cloud refresh`: ask the node for one picture, or about it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from image_cloud.cli.access import CommandError
from image_cloud.cli.node_client import NodeClient, check
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.params import ImageParameters

TIMEOUT_S = 120


def add_commands(commands: Any) -> None:
    """Add `get` and `refresh`."""
    get = commands.add_parser("get", help="get a picture through the node")
    get.add_argument("url")
    get.add_argument(
        "--output", "-o", metavar="FILE", help="write it here; default: standard output"
    )
    get.add_argument(
        "parameters", nargs="*", metavar="NAME=VALUE", help="more of /get_image's parameters"
    )
    get.set_defaults(run=run_get)
    refresh = commands.add_parser(
        "refresh", help="ask the origin now whether it has changed a picture"
    )
    refresh.add_argument("url")
    refresh.add_argument("--json", action="store_true", help="print the node's answer, as JSON")
    refresh.set_defaults(run=run_refresh)


def run_refresh(arguments: argparse.Namespace) -> None:
    """Print what came of it."""
    client = NodeClient.of(arguments)
    told = client.json("POST", "/refresh_image", TIMEOUT_S, url=arguments.url)
    if arguments.json:
        print(json.dumps(told, indent=2))
    else:
        print(f"{'changed' if told['changed'] else 'unchanged'}  sha256 {told['sha256']}")


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
