"""`image-cloud status`: how a node is, and what it holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from image_cloud.cli import domains
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.pages.people import ago, days, printable, size

TIMEOUT_S = 10.0
NOTABLE_S = 1.0
Facts = dict[str, Any]


def add_commands(commands: Any) -> None:
    """Add `status`."""
    status = commands.add_parser(
        "status", help="say how a node is", description="The exit status is 1 where it is degraded."
    )
    status.add_argument("--json", action="store_true", help="as JSON")
    add_options(status)
    status.set_defaults(run=run_status)


def run_status(arguments: argparse.Namespace) -> int:
    """Print state, disk, traffic, queues, peers and domains in trouble."""
    facts = NodeClient.of(arguments).get("/node_status", TIMEOUT_S)
    if arguments.json:
        print(json.dumps(facts, indent=2))
    else:
        for line in lines(facts):
            print(printable(line))
    return 0 if facts["status"] == "ok" else 1


def lines(facts: Facts) -> Iterator[str]:
    """Yield the state, one fact a line."""
    up = ago(facts["uptime_s"]) if facts["uptime_s"] is not None else "unknown"
    yield f"{facts['node']}: {facts['status']}, version {facts['version']}, up for {up}"
    for part in ("storage", "variants", "database"):
        if part in facts:
            yield f"{part}: {facts[part]}"
    for pool, state in facts["pools"].items():
        if state != "ok":
            yield f"{pool} pool: {state}"
    disk, traffic = facts["disk"], facts["traffic"]
    yield f"disk: {size(disk['bytes_free'])} of {size(disk['bytes'])} free{_full_in(facts)}"
    asked = sum(traffic["pictures"].values())
    if traffic["hit_share"] is None:
        yield "hits: no picture was asked for yet"
    else:
        yield f"hits: {traffic['hit_share']:.1%} of {asked:,} pictures"
    yield from _queues(facts)
    for peer in facts["peers"]:
        yield f"peer {peer['name']}: {_peer(peer, facts['at'])}"
    for one in facts["domains"]:
        yield f"domain {domains.line(one)}"


def _full_in(facts: Facts) -> str:
    """Say when the disk is full; unknown to a node of an older release."""
    left = (facts.get("lately") or {}).get("disk_days_left")
    return "" if left is None else f", full in {days(left)} as it fills now"


def _queues(facts: Facts) -> Iterator[str]:
    if facts["prefetch"] is None:
        yield "queues: unknown without the database"
        return
    prefetch, held = facts["prefetch"], facts["feed_held"]
    state = "paused, the storage is full" if facts["prefetch_paused"] else "working"
    yield f"pictures: {facts['pictures_about']:,}"
    yield (
        f"prefetch: {state}; {prefetch['urls']:,} wait, {prefetch['under_way']} under way,"
        f" {prefetch['later']:,} tried again later, {prefetch['batches']} batches"
    )
    if (old := facts.get("refresh")) and any(old.values()):
        yield f"refresh: {old['waiting']:,} old pictures wait; {old['gone']:,} are gone at their origins"
    yield f"limits: {facts['limits']}"
    yield f"to be cloned: {facts['clone_backlog']:,}"
    if held["seconds"] >= NOTABLE_S:
        by = held["holder"] or "a transaction"
        yield f"feed: {held['changes']} changes are held back for {held['seconds']:.0f} s by {by}"


def _peer(peer: Facts, now: float) -> str:
    if peer["is_stopped"]:
        return f"{peer['error']}; to go on: image-cloud allow-deletes {peer['name']}"
    if peer["alive"]:
        return "alive" + (f"; {peer['error']}" if peer["error"] else "")
    seen = f"last seen {ago(now - peer['last_seen'])} ago" if peer["last_seen"] else "never seen"
    return f"away, {seen}" + (f": {peer['error']}" if peer["error"] else "")
