"""`image-cloud similar`: which pictures look like a given one, and how many such there are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import CommandError, become_run_user, open_node
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.cli.similarity.facts import TIMEOUT_S, patient_database
from image_cloud.config.sections import DECODABLE, Resize
from image_cloud.node import Node
from image_cloud.pages.people import printable, size
from image_cloud.picture.dhash import MOST_WITHIN
from image_cloud.similar.request import LIMIT, MOST_LIMIT, WITHIN
from image_cloud.similar.summary import summary

SAMPLE = 1000


def add_commands(commands: Any) -> None:
    """Add `similar`."""
    similar = commands.add_parser(
        "similar", help="find pictures that look like a given one",
        description="Searches the node's catalogue by difference hashes. The exit status is 1 where there "
        "are none. `image-cloud facts --all` makes hashes of pictures whose facts nobody has asked for.",
    )  # fmt: skip
    similar.add_argument("picture", nargs="?", metavar="URL|FILE", help="the picture")
    similar.add_argument(
        "--within", type=int, default=WITHIN, metavar="BITS",
        help=f"in how many of 64 bits a hash may differ, 0 to {MOST_WITHIN}; default: {WITHIN}",
    )  # fmt: skip
    similar.add_argument(
        "--limit", type=int, default=LIMIT, metavar="N",
        help=f"at most so many, the most similar ones, 1 to {MOST_LIMIT}; default: {LIMIT}",
    )  # fmt: skip
    similar.add_argument(
        "--summary", action="store_true",
        help="count the near-duplicates of all pictures instead; needs the node's own files",
    )  # fmt: skip
    similar.add_argument(
        "--sample", type=int, default=SAMPLE, metavar="N",
        help=f"with --summary: estimate from so many pictures; default: {SAMPLE}",
    )  # fmt: skip
    similar.add_argument("--json", action="store_true", help="as JSON")
    add_options(similar)
    similar.set_defaults(run=run_similar)


def run_similar(arguments: argparse.Namespace) -> int:
    """Print the similar pictures; 1 where there are none."""
    _check(arguments)
    if arguments.summary:
        node = open_node(arguments)
        become_run_user(node.config)
        return _summarise(node, arguments)
    query = {"within": arguments.within, "limit": arguments.limit, **_picture(arguments.picture)}
    told = NodeClient.of(arguments).get("/similar", TIMEOUT_S, **query)
    if arguments.json:
        print(json.dumps(told, indent=2))
    else:
        _print(told)
    return 0 if told["pictures"] else 1


def _check(arguments: argparse.Namespace) -> None:
    if bool(arguments.picture) == arguments.summary:
        raise CommandError("similar: give either the URL or file of a picture or --summary")
    if not 0 <= arguments.within <= MOST_WITHIN:
        raise CommandError(f"--within: expected 0 to {MOST_WITHIN}")
    if not 1 <= arguments.limit <= MOST_LIMIT:
        raise CommandError(f"--limit: expected 1 to {MOST_LIMIT}")
    if arguments.sample < 1:
        raise CommandError("--sample: expected 1 or more")


def _picture(given: str) -> dict[str, str]:
    """Return the URL, or the hash of the picture in a file.  Raises what decoding it raises."""
    if given.lower().startswith(("http://", "https://")):
        return {"url": given}
    from image_cloud.resize import facts  # no other command needs PIL

    with Path(given).open("rb") as file:
        return {"dhash": facts(file, Resize(formats=DECODABLE)).dhash}


def _print(told: dict[str, Any]) -> None:
    for one in told["pictures"]:
        sides = f"{one['width']} x {one['height']}" if one["width"] else "size unknown"
        kind = f"{one['format']}, {sides}, {size(one['bytes'])}"
        print(printable(f"{one['distance']:2}  {one['url']}  ({kind})"))
    if not told["pictures"]:
        print(f"nothing within {told['within']} bits of {told['dhash']}")
    elif not told["is_all"]:
        print("and more: --limit shows them")


def _summarise(node: Node, arguments: argparse.Namespace) -> int:
    """Print how many near-duplicates there are."""
    with tqdm(total=arguments.sample, unit=" pictures", dynamic_ncols=True, disable=None) as bar:
        database = patient_database(node)
        told = summary(database, arguments.within, arguments.sample, lambda: bar.update())
    if arguments.json:
        print(json.dumps(told, indent=2))
        return 0
    same_bytes, same_hash, similar = (told[name] for name in ("same_bytes", "same_hash", "similar"))
    print(f"pictures      {told['pictures']}")
    print(f"with a hash   {told['hashes']}, {told['plain']} of them without detail")
    print(f"same bytes    {same_bytes['pictures']}, {same_bytes['spare']} of them more than once")
    print(f"same hash     {same_hash['pictures']}, {same_hash['spare']} of them more than once")
    print(
        f"within {similar['within']:2}     {similar['share']:.1%} have another one, give or take "
        f"{similar['margin']:.1%} (a sample of {similar['sample']})"
    )
    return 0
