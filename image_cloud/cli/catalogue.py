"""`image-cloud status`: what this node holds, and its state."""

from __future__ import annotations

import argparse
from typing import Any

import requests

from image_cloud.cli.access import address, become_run_user, open_node, own_token
from image_cloud.cli.prefetch_status import print_prefetch
from image_cloud.cluster.peer_states import PeerState
from image_cloud.db import catalog, clones, feed

TIMEOUT_S = 10
NOTABLE_S = 1.0


def add_commands(commands: Any) -> None:
    """Add `status`."""
    commands.add_parser("status", help="say how this node is").set_defaults(run=run_status)


def run_status(arguments: argparse.Namespace) -> None:
    """Print readiness and the catalogue's size."""
    node = open_node(arguments)
    headers = {"X-Image-Cloud-Token": own_token()}
    ready = requests.get(f"{address(node.config)}/ready", headers=headers, timeout=TIMEOUT_S).json()
    pools = ready.pop("pools", {})
    for name, value in ready.items():
        print(f"{name}: {value}")
    print("pools:", ", ".join(f"{name} {state}" for name, state in pools.items()))
    become_run_user(node.config)
    with node.database.transaction() as cursor:
        originals, total_bytes = catalog.count(cursor)
        backlog, held = clones.count(cursor), feed.held(cursor)
    print(f"originals: {originals}\nbytes: {total_bytes}\nclone_backlog: {backlog}")
    if held.seconds >= NOTABLE_S:
        waits = f"{held.changes} changes wait {held.seconds:.0f} s"
        print(f"feed: held back: {waits} for {held.holder or 'a transaction'}")
    for state in node.peer_states.read().values():
        print(f"peer {state.name}: {_describe(state)}")
    print_prefetch(node)


def _describe(state: PeerState) -> str:
    if state.alive:
        return f"alive; {state.error}" if state.error else "alive"
    return state.error or "away"
