"""`image-cloud import FILE`: take over the pictures of an older store, or of an export."""

from __future__ import annotations

import argparse
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import CommandError, act_as_run_user, open_node, with_own_rights
from image_cloud.cli.stores.tally import Tally, commit
from image_cloud.cli.stores.tars import import_tars, is_tar
from image_cloud.errors import ImageCloudError, StorageUnavailable
from image_cloud.fetch.arrival import Arrivals
from image_cloud.fetch.importing import Importer
from image_cloud.node import Node
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url

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
        help="take over pictures of an older store or an export; run it again after an interruption",
    )
    command.add_argument(
        "file", nargs="*",
        help="lines of URL and path, separated by a tab or blanks; or tars in webdataset's layout (-: stdin)",
    )  # fmt: skip
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
    tally = Tally(as_json=arguments.json)
    if any(map(is_tar, arguments.file)):
        import_tars(node, arguments.file, tally)
    else:
        _import_rows(node, arguments, tally)
    return tally.report()


def _import_rows(node: Node, arguments: argparse.Namespace, tally: Tally) -> None:
    if len(arguments.file) > 1:
        raise CommandError("only tars may be several")
    root = Path(arguments.root).absolute()
    rows, total = _from_sqlite(arguments) if arguments.sqlite else _from_lines(arguments.file[0])
    form = "URL and path, neither empty" if arguments.sqlite else SEPARATED
    act_as_run_user(node.config)
    waiting: list[Record] = []
    importer = Importer(node.store, Arrivals(node.store, FORMATS, waiting.append))
    with tqdm(total=total, unit=" pictures", desc="import", disable=None) as bar:
        for row in rows:
            try:
                tally.count(_take(importer, root, row, form))
            except _NotTakenError as error:
                tally.refuse(row[0], row[1], str(error))
            if len(waiting) >= AT_ONCE:
                commit(node, waiting)
                waiting.clear()
            bar.update()
    commit(node, waiting)


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
