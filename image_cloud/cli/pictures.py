"""`image-cloud get`: ask the node for one picture."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import requests

from image_cloud.cli.access import CommandError, address, own_token, read_config

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
    answer = requests.get(
        f"{address(read_config(arguments))}/get_image",
        params={"url": arguments.url, **parameters},
        headers={"X-Image-Cloud-Token": own_token()},
        timeout=TIMEOUT_S,
    )
    if not answer.ok:
        raise CommandError(problem(answer))
    if arguments.output:
        with open(arguments.output, "wb") as file:
            file.write(answer.content)
    else:
        sys.stdout.buffer.write(answer.content)


def problem(answer: requests.Response) -> str:
    """Return a problem document as one line."""
    try:
        body = answer.json()
        return f"{body['status']} {body['code']}: {body['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"
