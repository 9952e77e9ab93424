"""`image-cloud domains`: which domains are paused and why, and lifting a pause."""

from __future__ import annotations

import argparse
import json
from typing import Any

from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.pages.people import printable


def add_commands(commands: Any) -> None:
    """Add `domains`."""
    domains = commands.add_parser(
        "domains", help="show the domains that are paused or failing, or lift a pause",
        description="Without more: a line for each domain in trouble. With `resume NAME`: lift the pause of "
        "NAME on this node, for users and prefetch alike.",
    )  # fmt: skip
    domains.add_argument("--json", action="store_true", help="as JSON")
    add_options(domains)
    domains.set_defaults(run=run_domains)
    actions = domains.add_subparsers(dest="action", metavar="resume")
    resume = actions.add_parser("resume", help="lift a pause")
    resume.add_argument("name", metavar="NAME", help="as the list shows it")
    resume.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    add_options(resume)
    resume.set_defaults(run=run_resume)


def run_domains(arguments: argparse.Namespace) -> None:
    """Print the domains in trouble, those that are asked again last first."""
    answer = NodeClient.of(arguments).get("/domains")
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return
    for one in answer["domains"]:
        print(printable(line(one)))
    if not answer["domains"]:
        print("no domain is paused or failing")


def run_resume(arguments: argparse.Namespace) -> None:
    """Lift one pause."""
    answer = NodeClient.of(arguments).json("POST", "/domains/resume", domain=arguments.name)
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"{answer['domain']} {'is asked again' if answer['resumed'] else 'was not paused'}")


def line(one: dict[str, Any]) -> str:
    """Return a line about one domain."""
    slots = one["slots"]
    used = f"{slots['used']} of {slots['allowed']} slots used"
    if "why" not in one:
        return f"{one['domain']}: {one['state']}, {used}"
    why = one["why"]
    facts = [f"{one['domain']}: {one['state']} since {one['since']}"]
    if one["next_try"]:
        facts.append(f"next try {one['next_try']}")
        if one["next_try_interactive"] != one["next_try"]:
            facts.append(f"for users {one['next_try_interactive']}")
    facts.append(used)
    return f"{', '.join(facts)}: {why['detail']} ({why['code']}, {one['failures']} failures)"
