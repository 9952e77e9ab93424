"""`image-cloud delete`, `backlog` and `allow-deletes`."""

from __future__ import annotations

import argparse
from typing import Any

import requests

from image_cloud.cli.access import (
    CommandError,
    address,
    become_run_user,
    open_node,
    own_token,
    read_config,
)
from image_cloud.cli.pictures import problem
from image_cloud.cluster.heard import read_page
from image_cloud.db import clones, feed
from image_cloud.db.connect import Database
from image_cloud.errors import ImageCloudError

TIMEOUT_S = 60
NOTABLE_S = 1.0


def add_commands(commands: Any) -> None:
    """Add `delete`, `backlog` and `allow-deletes`."""
    delete = commands.add_parser("delete", help="delete a picture on every node")
    delete.add_argument("url")
    block = delete.add_mutually_exclusive_group()
    block.add_argument("--block", action="store_true", help="and forbid its URL from now on")
    block.add_argument("--unblock", action="store_true", help="and allow its URL again")
    delete.set_defaults(run=run_delete)
    backlog = commands.add_parser("backlog", help="say what this node and all peers still clone")
    backlog.set_defaults(run=run_backlog)
    allow = commands.add_parser(
        "allow-deletes", help="let a peer delete as many pictures here as it wants, for an hour"
    )
    allow.add_argument("peer", metavar="PEER")
    allow.set_defaults(run=run_allow_deletes)


def run_delete(arguments: argparse.Namespace) -> None:
    """Delete through the node."""
    parameters = {"url": arguments.url}
    if arguments.block or arguments.unblock:
        parameters["block"] = str(arguments.block).lower()
    answer = requests.delete(
        f"{address(read_config(arguments))}/delete_image",
        params=parameters,
        headers={"X-Image-Cloud-Token": own_token()},
        timeout=TIMEOUT_S,
    )
    if not answer.ok:
        raise CommandError(problem(answer))
    done = answer.json()
    print(f"{'deleted' if done['deleted'] else 'was not here'}: {arguments.url}")
    if done["blocked"]:
        print("blocked until `image-cloud delete --unblock`")
    if not done["recorded"]:
        print("the database is away: the peers hear of it as soon as it is back")


def run_backlog(arguments: argparse.Namespace) -> int:
    """Print one line per node; 1 where a node could not be asked."""
    node = open_node(arguments)
    become_run_user(node.config)
    rows = [(node.config.node.name, *_own(node.database))]
    for peer in node.peers.all:
        try:
            heard, _ = read_page(node.peers.changes(peer, "", 0, 0))
            held = heard.held
            rows.append((peer.name, str(heard.backlog), _held(held.seconds, held.holder)))
        except (ImageCloudError, ValueError) as error:
            rows.append((peer.name, "?", str(error)))
    stopped = [state for state in node.peer_states.read().values() if state.is_stopped]
    for name, backlog, remark in rows:
        print(f"{name}\t{backlog}\t{remark}".rstrip())
    for state in stopped:
        print(f"{state.name}: {state.error}; to go on: image-cloud allow-deletes {state.name}")
    return 1 if stopped or any(backlog == "?" for _, backlog, _ in rows) else 0


def run_allow_deletes(arguments: argparse.Namespace) -> None:
    """Say go to a feed that was stopped."""
    node = open_node(arguments)
    names = [peer.name for peer in node.peers.all]
    if arguments.peer not in names:
        raise CommandError(f"no peer {arguments.peer}; there are: {', '.join(names) or 'none'}")
    become_run_user(node.config)
    node.brake.permit(arguments.peer)
    print(f"for an hour {arguments.peer} may delete as many pictures here as it wants")


def _own(database: Database) -> tuple[str, str]:
    try:
        with database.transaction() as cursor:
            held = feed.held(cursor)
            return str(clones.count(cursor)), _held(held.seconds, held.holder)
    except ImageCloudError as error:
        return "?", error.detail


def _held(seconds: float, holder: str) -> str:
    if seconds < NOTABLE_S:
        return ""
    by = holder if holder and holder.isprintable() else "a transaction"
    return f"its feed has been held back for {seconds:.0f} s by {by}"
