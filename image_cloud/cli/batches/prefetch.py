"""`image-cloud prefetch`: hand a file of URLs over, and wait for them with a progress bar."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import CommandError
from image_cloud.cli.batches.client import AWAY_S, BatchClient
from image_cloud.cli.node_client import NodeClient
from image_cloud.prefetch.body import MAX_BYTES, MAX_URLS

POLL_S = 0.5
PATIENCE_S = 60.0  # without --wait
ROOM_BYTES = 4096  # of a body, for what is not a URL


def add_commands(commands: Any) -> None:
    """Add `prefetch`."""
    prefetch = commands.add_parser(
        "prefetch", help="have pictures fetched in advance",
        description="Hands URLs over and prints their batches. The exit status is 1 when a URL was "
        "rejected or, with --wait, has failed.",
    )  # fmt: skip
    prefetch.add_argument("file", nargs="?", help="one URL a line; - for standard input")
    prefetch.add_argument("--wait", action="store_true", help="wait for all, with a progress bar")
    prefetch.add_argument(
        "--batch", action="append", default=[], metavar="ID",
        help="hand nothing over, take this batch up again; may be repeated",
    )  # fmt: skip
    prefetch.add_argument("--thumbnails", default="", metavar="SIZES", help="like 200,250")
    prefetch.add_argument(
        "--callback", metavar="URL", help="a URL that is told of each batch's end"
    )
    prefetch.add_argument("--priority", type=int, default=0, help="higher goes first; default: 0")
    prefetch.set_defaults(run=run_prefetch)


def run_prefetch(arguments: argparse.Namespace) -> int:
    """Hand over, wait, and say what failed."""
    patience_s = float("inf") if arguments.wait else PATIENCE_S
    client = BatchClient(NodeClient.of(arguments), patience_s)
    if not (arguments.file or arguments.batch):
        raise CommandError("prefetch: give a FILE of URLs, or --batch ID")
    batches, rejected = list(arguments.batch), 0
    if not batches:
        options = {"thumbnails": _sizes(arguments.thumbnails), "priority": arguments.priority}
        if arguments.callback:
            options["callback"] = arguments.callback
        with _opened(arguments.file) as lines:
            for body in bodies(lines, options):
                answer = client.post(body)
                batches.append(answer["batch"])
                rejected += len(answer["rejected"])
                _tell(answer)
    failed = _wait(client, batches) if arguments.wait else 0
    return 1 if rejected or failed else 0


def bodies(lines: Iterable[bytes], options: dict[str, Any]) -> Iterator[bytes]:
    """Yield request bodies, each within what one call may have.  Raises CommandError."""
    urls: list[str] = []
    size = ROOM_BYTES
    for number, line in enumerate(lines, 1):
        try:
            url = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise CommandError(f"line {number} is not UTF-8") from None
        if not url:
            continue
        length = len(json.dumps(url)) + 2
        if urls and (len(urls) == MAX_URLS or size + length > MAX_BYTES):
            yield json.dumps({"urls": urls, **options}).encode()
            urls, size = [], ROOM_BYTES
        urls.append(url)
        size += length
    if urls:
        yield json.dumps({"urls": urls, **options}).encode()


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Iterable[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
    else:
        with open(name, "rb") as file:
            yield file


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise CommandError("--thumbnails: expected sizes like 200,250") from None


def _tell(answer: dict[str, Any]) -> None:
    counts = [f"{answer[name]} {name}" for name in ("accepted", "already_cached", "duplicates")]
    print(
        f"batch {answer['batch']}: {', '.join(counts)}, {len(answer['rejected'])} rejected",
        flush=True,
    )
    for one in answer["rejected"]:
        print(f"rejected: {one['url']}: {one['code']}: {one['detail']}", file=sys.stderr)


def _wait(client: BatchClient, batches: list[str]) -> int:
    """Show progress until nothing waits; print the failures and return their number."""
    states: dict[str, dict[str, Any]] = {}
    try:
        with tqdm(total=0, unit="URL", dynamic_ncols=True) as bar:
            while len(states) < len(set(batches)) or _sum(states, "waiting"):
                _look(client, batches, states, bar)
    except KeyboardInterrupt:
        again = " ".join(f"--batch {batch}" for batch in batches)
        print(f"\ntake it up again: image-cloud prefetch --wait {again}", file=sys.stderr)
        raise
    for batch in batches:
        _print_failures(client, batch)
    done, failed = _sum(states, "done"), _sum(states, "failed")
    print(f"{done} done, {failed} failed")
    return failed


def _look(
    client: BatchClient, batches: list[str], states: dict[str, dict[str, Any]], bar: Any
) -> None:
    for batch in batches:
        if batch in states and not states[batch]["waiting"]:
            continue
        state = client.progress(batch)
        bar.set_postfix_str("the node is away" if state is None else "", refresh=state is None)
        if state is None:
            time.sleep(AWAY_S)
        else:
            states[batch] = state
    bar.total = _sum(states, "total")
    bar.n = bar.total - _sum(states, "waiting")
    bar.refresh()
    if _sum(states, "waiting"):
        time.sleep(POLL_S)


def _sum(states: dict[str, dict[str, Any]], name: str) -> int:
    return sum(int(state[name]) for state in states.values())


def _print_failures(client: BatchClient, batch: str) -> None:
    after = ""
    while after is not None:
        page = client.progress(batch, list_failures="true", **({"after": after} if after else {}))
        if page is None:
            time.sleep(AWAY_S)
            continue
        for one in page["failed_urls"]:
            print(f"failed: {one['url']}: {one['code']}: {one['detail']}", file=sys.stderr)
        after = page["failed_after"]
