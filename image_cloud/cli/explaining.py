"""`image-cloud explain`: why a picture is, or is not, here, and at every peer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from image_cloud.cli import domains
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.pages.people import ago, printable, size

TIMEOUT_S = 10


def add_commands(commands: Any) -> None:
    """Add `explain`."""
    explain = commands.add_parser("explain", help="say why a picture is, or is not, here")
    explain.add_argument("url")
    explain.add_argument("--json", action="store_true", help="print all that is known, as JSON")
    add_options(explain)
    explain.set_defaults(run=run_explain)


def run_explain(arguments: argparse.Namespace) -> int:
    """Print the explanation; 1 where the picture is not here."""
    told = NodeClient.of(arguments).get("/explain", TIMEOUT_S, url=arguments.url)
    lines = [json.dumps(told, indent=2)] if arguments.json else _lines(told)
    for line in lines:
        print(line)
    return 0 if told["original"] else 1


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['url']}\nkey {told['key']}"
    nodes = {told["node"]: told["verdict"]}
    nodes |= {name: one.get("verdict") or one.get("error") for name, one in told["peers"].items()}
    width = max(map(len, nodes))
    for name, said in nodes.items():
        yield f"{name:{width}}  {printable(said)}"
    yield from _facts(told, told["at"])


def _of_file(one: dict[str, Any], now: float) -> str:
    return f"{size(one['bytes'])}, {ago(now - one['modified_at'])} ago"


def _facts(told: dict[str, Any], now: float) -> Iterator[str]:
    if told["database"] != "ok":
        yield f"database: {told['database']}"
    for one in filter(None, [told["original"], *told["variants"]]):
        name = one.get("file") or one["name"]
        yield f"  {name}: {one.get('error') or _of_file(one, now)}"
    if told["record"]:
        record = told["record"]
        yield f"  from {record['stored_from']}, sha256 {record['sha256']}"
    if told.get("checked_at"):
        yield f"  last seen at its origin {ago(now - told['checked_at'])} ago"
    if gone := told.get("gone"):
        yield f"  gone: the origin said {gone['status']} in the last {gone['count']} checks"
    yield printable(f"domain {domains.line(told['domain'])}")
    yield from map(printable, told["log"])
