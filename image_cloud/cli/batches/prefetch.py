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
from image_cloud.cli.node_client import NodeClient, add_options
from image_cloud.pages.people import printable
from image_cloud.prefetch.body import MAX_BYTES, MAX_URLS, MOST_AGE_S

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
    prefetch.add_argument(
        "--max-age", type=int, metavar="SECONDS",
        help="ask origins again for pictures last seen there longer ago; default: stored ones are good",
    )  # fmt: skip
    prefetch.add_argument("--priority", type=int, default=0, help="higher goes first; default: 0")
    prefetch.add_argument("--json", action="store_true", help="as JSON, when all is done")
    add_options(prefetch)
    prefetch.set_defaults(run=run_prefetch)


def run_prefetch(arguments: argparse.Namespace) -> int:
    """Hand over, wait, and say what failed."""
    patience_s = float("inf") if arguments.wait else PATIENCE_S
    client = BatchClient(NodeClient.of(arguments), patience_s)
    if not 0 <= (arguments.max_age or 0) <= MOST_AGE_S:
        raise CommandError(f"--max-age: expected 0 to {MOST_AGE_S} seconds")
    if not (arguments.file or arguments.batch):
        raise CommandError("prefetch: give a FILE of URLs, or --batch ID")
    answers = [] if arguments.batch else list(_handed_over(client, arguments))
    batches = [*arguments.batch, *(answer["batch"] for answer in answers)]
    ended = _wait(client, batches, as_json=arguments.json) if arguments.wait else {}
    if arguments.json:
        print(
            json.dumps(
                {"batches": answers or [{"batch": one} for one in batches], **ended}, indent=2
            )
        )
    rejected = any(answer["rejected"] for answer in answers)
    return 1 if rejected or ended.get("failed") else 0


def _handed_over(client: BatchClient, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Hand the file's URLs over; yield the node's answers."""
    options = {"thumbnails": _sizes(arguments.thumbnails), "priority": arguments.priority}
    more = {"callback": arguments.callback, "max_age": arguments.max_age}
    options |= {name: value for name, value in more.items() if value is not None}
    with _opened(arguments.file) as lines:
        for body in bodies(lines, options):
            answer = client.post(body)
            if not arguments.json:
                _tell(answer)
            yield answer


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
        _complain("rejected", one)


def _complain(what: str, one: dict[str, str]) -> None:
    print(printable(f"{what}: {one['url']}: {one['code']}: {one['detail']}"), file=sys.stderr)


def _wait(client: BatchClient, batches: list[str], *, as_json: bool) -> dict[str, Any]:
    """Show progress until nothing waits; return how it ended, in text after printing it."""
    states = _watched(client, batches)
    failures = (one for batch in batches for one in _failures(client, batch))
    ended: dict[str, Any] = {name: _sum(states, name) for name in ("done", "failed")}
    if as_json:
        return ended | {"failures": list(failures)}
    for one in failures:
        _complain("failed", one)
    print(f"{ended['done']} done, {ended['failed']} failed")
    return ended


def _watched(client: BatchClient, batches: list[str]) -> dict[str, dict[str, Any]]:
    """Return the batches' states once nothing waits, with a progress bar on a terminal until then."""
    states: dict[str, dict[str, Any]] = {}
    try:
        with tqdm(total=0, unit="URL", dynamic_ncols=True, disable=None) as bar:
            while len(states) < len(set(batches)) or _sum(states, "waiting"):
                _look(client, batches, states, bar)
    except KeyboardInterrupt:
        again = " ".join(f"--batch {batch}" for batch in batches)
        print(f"\ntake it up again: image-cloud prefetch --wait {again}", file=sys.stderr)
        raise
    return states


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


def _failures(client: BatchClient, batch: str) -> Iterator[dict[str, Any]]:
    after = ""
    while after is not None:
        page = client.progress(batch, list_failures="true", **({"after": after} if after else {}))
        if page is None:
            time.sleep(AWAY_S)
            continue
        yield from page["failed_urls"]
        after = page["failed_after"]
