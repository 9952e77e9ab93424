"""`image-cloud get` and `image-cloud refresh`: ask the node for one picture, or about it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from image_cloud.cli.access import CommandError
from image_cloud.cli.node_client import NodeClient, add_options, check
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.params import ImageParameters

TIMEOUT_S = 120
TOLD = {
    "content_type": "Content-Type", "cache": "X-Cache", "etag": "ETag", "request_id": "X-Request-Id"
}  # fmt: skip


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
    get.add_argument("--json", action="store_true", help="print what came, as JSON; needs --output")
    add_options(get)
    get.set_defaults(run=run_get)
    refresh = commands.add_parser(
        "refresh", help="ask the origin now whether it has changed a picture"
    )
    refresh.add_argument("url")
    refresh.add_argument("--json", action="store_true", help="print the node's answer, as JSON")
    add_options(refresh)
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
    query = {"url": arguments.url, **_parameters(arguments.parameters)}
    if not arguments.output and os.isatty(sys.stdout.fileno()):
        raise CommandError("a picture is nothing for a terminal: give -o FILE, or redirect")
    if arguments.json and not arguments.output:
        raise CommandError("--json: give -o FILE, too, as the picture would go where the JSON goes")
    answer = NodeClient.of(arguments).ask("GET", "/get_image", TIMEOUT_S, params=query)
    check(answer)
    if not arguments.output:
        sys.stdout.buffer.write(answer.content)
        return
    with open(arguments.output, "wb") as file:
        file.write(answer.content)
    if arguments.json:
        told = {"file": arguments.output, "bytes": len(answer.content)}
        print(
            json.dumps(told | {name: answer.headers.get(it) for name, it in TOLD.items()}, indent=2)
        )


def _parameters(given: list[str]) -> dict[str, str]:
    """Return parameters of /get_image by name.  Raises CommandError."""
    known = ImageParameters(Resize(), ENCODABLE).names() - {"url"}
    parameters: dict[str, str] = {}
    for part in given:
        name, separator, value = part.partition("=")
        if name not in known:
            there = ", ".join(sorted(known))
            raise CommandError(f"{name}: no parameter of a picture; there are {there}")
        if not separator or name in parameters:
            raise CommandError(f"{part}: expected is NAME=VALUE, each name once")
        parameters[name] = value
    return parameters
