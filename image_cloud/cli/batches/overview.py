"""`image-cloud batches`, `cancel` and `retry`: lists batches, cancels what waits, queues failures again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from image_cloud.cli.access import CommandError, Refused
from image_cloud.cli.batches.client import PATH
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.pages.people import printable
from image_cloud.prefetch.asked import MOST_LISTED

LISTED = 20
Ask = Callable[[NodeClient, str], dict[str, Any]]


def add_commands(commands: Any) -> None:
    """Add `batches`, `cancel` and `retry`."""
    batches = commands.add_parser(
        "batches", help="list batches, the newest first",
        description="Lists the batches of the token's client, with the scope ops those of all clients, a "
        "line each. With BATCH: those alone.",
    )  # fmt: skip
    batches.add_argument("batch", nargs="*", metavar="BATCH")
    batches.add_argument(
        "--limit", type=int, default=LISTED, metavar="N", help=f"list at most N; default: {LISTED}"
    )
    batches.add_argument("--json", action="store_true", help="as JSON")
    add_options(batches)
    batches.set_defaults(run=run_batches)
    _add(commands, "cancel", "cancel what waits for batches", run_cancel)
    _add(commands, "retry", "queue the failures of batches again", run_retry)


def _add(commands: Any, name: str, meaning: str, run: Callable[[argparse.Namespace], int]) -> None:
    command = commands.add_parser(
        name, help=meaning,
        description=f"{meaning[0].upper()}{meaning[1:]}, with the scope ops those of any client.",
    )  # fmt: skip
    command.add_argument("batch", nargs="+", metavar="BATCH")
    command.add_argument("--json", action="store_true", help="as JSON")
    add_options(command)
    command.set_defaults(run=run)


def run_batches(arguments: argparse.Namespace) -> None:
    """Print a line for each batch, or all that is known."""
    if arguments.limit < 1:
        raise CommandError("--limit: expected is a number from 1")
    client = NodeClient.of(arguments)
    if arguments.batch:
        found = [client.get(PATH, batch=batch) for batch in arguments.batch]
    else:
        found = list(_newest(client, arguments.limit))
    if arguments.json:
        print(json.dumps({"batches": found}, indent=2))
        return
    for one in found:
        print(printable(line(one)))
    if not found:
        print("no batches")


def run_cancel(arguments: argparse.Namespace) -> int:
    """Cancel batches."""
    return _each(arguments, lambda client, one: client.json("DELETE", PATH, batch=one))


def run_retry(arguments: argparse.Namespace) -> int:
    """Queue failures again."""
    return _each(arguments, lambda client, one: client.json("POST", PATH, batch=one, retry="true"))


def line(one: dict[str, Any]) -> str:
    """Return a line about one batch."""
    counts = [f"{one['done']} of {one['total']} done"]
    counts += [f"{one[name]} {name}" for name in ("waiting", "cancelled") if one[name]]
    if one["failed"]:
        codes = ", ".join(f"{code} {count}" for code, count in sorted(one["failures"].items()))
        counts.append(f"{one['failed']} failed ({codes})")
    if callback := one["callback"]:
        why = f" ({callback['code']})" if callback["code"] else ""
        counts.append(f"callback {callback['state']}{why}")
    began = one["created_at"].partition(".")[0]
    return f"{one['batch']}  {began}  {one['client']}  {one['state']}: {', '.join(counts)}"


def _newest(client: NodeClient, most: int) -> Iterator[dict[str, Any]]:
    """Yield up to `most` batches, page by page."""
    more: dict[str, Any] = {}
    while most > 0:
        page = client.get(PATH, limit=min(most, MOST_LISTED), **more)
        yield from page["batches"]
        most -= len(page["batches"])
        if page["batches_before"] is None:
            return
        more = {"before": page["batches_before"]}


def _each(arguments: argparse.Namespace, ask: Ask) -> int:
    """Ask for each batch and print what came of it; a refusal does not stop the others."""
    client = NodeClient.of(arguments)
    status, answers = 0, []
    for batch in arguments.batch:
        try:
            answers.append(ask(client, batch))
        except Refused as error:
            print(f"image-cloud: {batch}: {error}", file=sys.stderr)
            status = error.status
    if arguments.json:
        print(json.dumps({"batches": answers}, indent=2))
    else:
        for one in answers:
            did = ", ".join(
                f"{one[name]} {name}" for name in ("cancelled", "queued") if name in one
            )
            print(f"{one['batch']}: {did}")
    return status
