"""`image-cloud delete`, `backlog` and `allow-deletes`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from image_cloud.cli.access import (
    CommandError,
    become_run_user,
    open_node,
)
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.cluster.brake import HOUR_S
from image_cloud.pages.people import printable

NOTABLE_S = 1.0


def add_commands(commands: Any) -> None:
    """Add `delete`, `backlog` and `allow-deletes`."""
    delete = commands.add_parser("delete", help="delete a picture on every node")
    delete.add_argument("url")
    block = delete.add_mutually_exclusive_group()
    block.add_argument("--block", action="store_true", help="and forbid its URL from now on")
    block.add_argument("--unblock", action="store_true", help="and allow its URL again")
    delete.add_argument("--json", action="store_true", help="as JSON")
    add_options(delete)
    delete.set_defaults(run=run_delete)
    backlog = commands.add_parser("backlog", help="say what this node and all peers still clone")
    backlog.add_argument("--json", action="store_true", help="as JSON")
    add_options(backlog)
    backlog.set_defaults(run=run_backlog)
    allow = commands.add_parser(
        "allow-deletes", help="let a peer delete as many pictures here as it wants, for an hour"
    )
    allow.add_argument("peer", metavar="PEER")
    allow.add_argument("--json", action="store_true", help="as JSON")
    allow.set_defaults(run=run_allow_deletes)


def run_delete(arguments: argparse.Namespace) -> None:
    """Delete through the node."""
    parameters = {"url": arguments.url}
    if arguments.block or arguments.unblock:
        parameters["block"] = str(arguments.block).lower()
    done = NodeClient.of(arguments).json("DELETE", "/delete_image", **parameters)
    if arguments.json:
        print(json.dumps(done, indent=2))
        return
    print(f"{'deleted' if done['deleted'] else 'was not here'}: {arguments.url}")
    if done["blocked"]:
        print("blocked until `image-cloud delete --unblock`")
    if not done["recorded"]:
        print("the database is away: the peers hear of it as soon as it is back")


def run_backlog(arguments: argparse.Namespace) -> int:
    """Print a line for each node; 1 where one does not answer, or its feed is stopped."""
    facts = NodeClient.of(arguments).get("/node_status")
    rows = [_own(facts), *(_row(peer) for peer in facts["peers"])]
    if arguments.json:
        print(json.dumps({name: {"backlog": left, "remark": said} for name, left, said in rows}))
    else:
        for name, left, said in rows:
            print(printable(f"{name}  {'?' if left is None else left}  {said}").rstrip())
    is_stopped = any(peer["is_stopped"] for peer in facts["peers"])
    return 1 if is_stopped or any(left is None for _, left, _ in rows) else 0


Row = tuple[str, int | None, str]


def _own(facts: dict[str, Any]) -> Row:
    held = facts["feed_held"]
    if held is None:
        return facts["node"], None, facts["database"]
    return facts["node"], facts["clone_backlog"], _held(held["seconds"], held["holder"])


def _row(peer: dict[str, Any]) -> Row:
    if peer["is_stopped"]:
        said = f"{peer['error']}; to go on: image-cloud allow-deletes {peer['name']}"
        return peer["name"], peer["backlog"], said
    if not peer["alive"]:
        return peer["name"], None, peer["error"] or "does not answer"
    return peer["name"], peer["backlog"], _held(peer["held_s"])


def run_allow_deletes(arguments: argparse.Namespace) -> None:
    """Say go to a feed that was stopped."""
    node = open_node(arguments)
    names = [peer.name for peer in node.peers.all]
    if arguments.peer not in names:
        raise CommandError(f"no peer {arguments.peer}; there are: {', '.join(names) or 'none'}")
    become_run_user(node.config)
    node.brake.permit(arguments.peer)
    if arguments.json:
        print(json.dumps({"peer": arguments.peer, "allowed_s": HOUR_S}))
    else:
        print(f"for an hour {arguments.peer} may delete as many pictures here as it wants")


def _held(seconds: float, holder: str = "") -> str:
    if seconds < NOTABLE_S:
        return ""
    return f"its feed has been held back for {seconds:.0f} s by {holder or 'a transaction'}"
