"""`image-cloud import FILE`: import an older store."""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import CommandError, act_as_run_user, open_node, with_own_rights
from image_cloud.errors import DatabaseUnavailable, ImageCloudError, StorageUnavailable
from image_cloud.fetch.arrival import Arrivals
from image_cloud.fetch.importing import Importer
from image_cloud.node import Node
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.storage.recorder import commit_records

AT_ONCE = 200
Row = tuple[int, str, str]
QUOTED = re.compile(r'"([^"]*)"[ \t]+(.*)')
SEPARATED = (
    "URL and path separated by a tab; blanks do, too, after a URL that has none or is quoted"
)


class _NotTakenError(Exception):
    """A row cannot be taken; the text says why."""


def add_commands(commands: Any) -> None:
    """Add `import`."""
    command = commands.add_parser(
        "import",
        help="take over pictures of an older store; run it again to go on after an interruption",
    )
    command.add_argument(
        "file", nargs="?", help="lines of URL and path, separated by a tab or blanks"
    )
    command.add_argument("--sqlite", metavar="FILE", help="an sqlite database instead")
    command.add_argument("--query", metavar="SQL", help="what gives rows of URL and path")
    command.add_argument(
        "--root", metavar="FOLDER", default=".", help="where relative paths start; default: here"
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run_import)


def run_import(arguments: argparse.Namespace) -> int:
    """Import; 1 where a row could not be taken."""
    node = open_node(arguments)
    if bool(arguments.file) == bool(arguments.sqlite) or bool(arguments.sqlite) != bool(
        arguments.query
    ):
        raise CommandError("expected either FILE, or --sqlite FILE with --query SQL")
    root = Path(arguments.root).absolute()
    rows, total = _from_sqlite(arguments) if arguments.sqlite else _from_lines(arguments.file)
    form = "URL and path, neither empty" if arguments.sqlite else SEPARATED
    act_as_run_user(node.config)
    counts: Counter[str] = Counter()
    waiting: list[Record] = []
    importer = Importer(node.store, Arrivals(node.store, FORMATS, waiting.append))
    refused: list[dict[str, Any]] = []
    with tqdm(total=total, unit=" pictures", desc="import", disable=None) as bar:
        for row in rows:
            try:
                counts[_take(importer, root, row, form)] += 1
            except _NotTakenError as error:
                counts["not taken"] += 1
                _tell(row, str(error), refused if arguments.json else None)
            if len(waiting) >= AT_ONCE:
                _commit(node, waiting)
            bar.update()
    _commit(node, waiting)
    if arguments.json:
        print(json.dumps({"counts": counts, "not_taken": refused}, indent=2))
    else:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(told or "nothing to import")
    return 1 if counts["not taken"] else 0


def _take(importer: Importer, root: Path, row: Row, form: str) -> str:
    _, url, path = row
    try:
        if not (url and path):
            raise ValueError(f"expected {form}")
        with with_own_rights():  # the older store may be root's alone
            source = open(root / path, "rb")  # noqa: SIM115
        with source:
            return importer.take(Url.parse(url), source)
    except StorageUnavailable:
        raise
    except (ImageCloudError, OSError, ValueError) as error:
        reason = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise _NotTakenError(reason) from None


def _tell(row: Row, reason: str, refused: list[dict[str, Any]] | None) -> None:
    """Say why a row was not taken, at once or, as JSON, at the end."""
    number, url, _ = row
    if refused is None:
        tqdm.write(f"{number}: not taken: {url}: {reason}")
    else:
        refused.append({"row": number, "url": url, "reason": reason})


def _commit(node: Node, waiting: list[Record]) -> None:
    """Record what was stored; with the database away the notes wait for the janitor."""
    try:
        if waiting:
            commit_records(node.store, node.database, waiting)
    except DatabaseUnavailable:
        tqdm.write("the database is away: recorded later", file=sys.stderr)
    waiting.clear()


def _from_lines(name: str) -> tuple[Iterator[Row], int]:
    file = open(name, encoding="utf-8-sig", errors="surrogateescape", newline="\n")  # noqa: SIM115
    total = sum(1 for line in file if line.strip())
    file.seek(0)

    def rows() -> Iterator[Row]:
        with file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, *_split(line.rstrip("\r\n").lstrip(" "))

    return rows(), total


def _split(line: str) -> tuple[str, str]:
    """Return URL and path; the path is empty where nothing separates them, and keeps its own blanks."""
    if quoted := QUOTED.fullmatch(line):
        return quoted[1], quoted[2]
    if "\t" in line:
        url, _, path = line.partition("\t")
        return url.rstrip(), path.lstrip("\t")
    url, _, path = line.rstrip().partition(" ")
    return url, path.lstrip()


def _from_sqlite(arguments: argparse.Namespace) -> tuple[Iterator[Row], int]:
    path = Path(arguments.sqlite).absolute()
    if not path.exists():
        raise CommandError(f"there is no {path}")
    # Read-only, and immutable where even its folder cannot be written.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        total = sum(1 for _ in connection.execute(arguments.query))
        cursor = connection.execute(arguments.query)
    except sqlite3.Error as error:
        raise CommandError(f"--query: {error}") from None
    if len(cursor.description) != 2:
        raise CommandError(
            f"--query: gives {len(cursor.description)} columns, expected URL and path"
        )
    rows = (
        (number, str(url or ""), str(path or "")) for number, (url, path) in enumerate(cursor, 1)
    )
    return rows, total
