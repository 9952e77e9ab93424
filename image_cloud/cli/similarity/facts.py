"""`image-cloud facts`: what is known of a picture, and the hashes of those that have none yet."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import CommandError, become_run_user, open_node
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.db import hashes
from image_cloud.db.connect import Database
from image_cloud.node import Node
from image_cloud.pages.people import printable, size
from image_cloud.similar.filling import Filling

TIMEOUT_S = 120
STATEMENT_S = 3600.0
"""Counts of millions of rows take longer than a node's own statements may."""


def add_commands(commands: Any) -> None:
    """Add `facts`."""
    facts = commands.add_parser(
        "facts", help="tell what is known of a picture, or make the hashes of all that have none",
        description="With URL: what /image_info tells; the picture is fetched if need be. With --all: "
        "the hashes of stored pictures that have none are made, for `similar`; that may be interrupted.",
    )  # fmt: skip
    facts.add_argument("picture", nargs="?", metavar="URL", help="of one picture")
    facts.add_argument(
        "--all", action="store_true", help="of all stored pictures; needs the node's own files"
    )
    facts.add_argument("--json", action="store_true", help="as JSON")
    add_options(facts)
    facts.set_defaults(run=run_facts)


def run_facts(arguments: argparse.Namespace) -> int:
    """Print what is known, or how many hashes were made; 1 where some could not be made."""
    if bool(arguments.picture) == arguments.all:
        raise CommandError("facts: give either the URL of a picture or --all")
    if arguments.all:
        node = open_node(arguments)
        become_run_user(node.config)
        return _fill(node, as_json=arguments.json)
    told = NodeClient.of(arguments).get("/image_info", TIMEOUT_S, url=arguments.picture)
    for line in [json.dumps(told, indent=2)] if arguments.json else _lines(told):
        print(line)
    return 0


def patient_database(node: Node) -> Database:
    """Return the node's database for statements that take long."""
    return Database(dataclasses.replace(node.config.database, statement_timeout=STATEMENT_S))


def _fill(node: Node, *, as_json: bool) -> int:
    database = patient_database(node)
    with database.transaction() as cursor:
        lacking = hashes.count_lacking(cursor)
    with tqdm(total=lacking, unit=" pictures", dynamic_ncols=True, disable=None) as bar:
        at_once = node.config.pools.resize_workers
        filling = Filling(node.store, database, node.facts, at_once, lambda: bar.update())
        made, failed = filling.fill()
    if as_json:
        print(json.dumps({"made": made, "failed": failed}, indent=2))
    else:
        print(f"{made} made, {sum(failed.values())} not")
        for code, count in sorted(failed.items()):
            print(f"{code}: {count}", file=sys.stderr)
    return 1 if failed else 0


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield printable(told["url"])
    yield f"key {told['key']}"
    kinds = [told["format"], f"{told['width']} x {told['height']}", size(told["bytes"])]
    kinds += [word for word in ("animated", "has_alpha") if told[word]]
    yield ", ".join(kinds)
    yield f"sha256 {told['sha256']}"
    yield f"dhash {told['dhash']}  average #{told['average_colour']}  orientation {told['orientation']}"
    stored, checked = (_time(told[name]) for name in ("stored_at", "checked_at"))
    yield f"stored {stored} from {told['stored_from']}, last seen at its origin {checked}"
    validators = {name: value for name, value in told["origin"].items() if value}
    if validators:
        yield printable("  ".join(f"{name} {value}" for name, value in validators.items()))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
