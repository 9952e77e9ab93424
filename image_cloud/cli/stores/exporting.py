"""`image-cloud export FILE`: the originals of this node as tars in webdataset's layout."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from image_cloud.bulk.archive import Damaged, Pipe, Shards, keys_behind, pieces_of
from image_cloud.cli.access import (
    CommandError,
    Failed,
    act_as_run_user,
    open_node,
    with_own_rights,
)
from image_cloud.config.fields import bytes_of
from image_cloud.db import catalog
from image_cloud.errors import DatabaseUnavailable
from image_cloud.node import Node
from image_cloud.picture.key import KEY_PATTERN

STDOUT = "-"


def add_commands(commands: Any) -> None:
    """Add `export`."""
    command = commands.add_parser(
        "export",
        help="write the originals to tars in webdataset's layout; run it again after an interruption",
    )
    command.add_argument("file", help="the tar to write, - for standard output")
    command.add_argument(
        "--shard-size", metavar="SIZE",
        help="begin another tar after so much, like 1GB: FILE.tar becomes FILE-000000.tar and so on",
    )  # fmt: skip
    command.add_argument(
        "--after",
        metavar="KEY",
        default="",
        help="only pictures behind this key, for standard output",
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Export; 1 where a picture could not be exported."""
    node = open_node(arguments)
    target = _target(arguments, node)
    with target:
        run = _Run(node, target, arguments.file)
        run.export()
    run.report(as_json=arguments.json, to=sys.stderr if arguments.file == STDOUT else sys.stdout)
    return 1 if run.damaged else 0


def _target(arguments: argparse.Namespace, node: Node) -> Shards | Pipe:
    """Open what is written, with the rights of who started the command; go on as the run user."""
    if arguments.after and not (
        arguments.file == STDOUT and KEY_PATTERN.fullmatch(arguments.after)
    ):
        raise CommandError("--after: expected a key of 64 hexadecimal digits, and - for FILE")
    if arguments.file == STDOUT:
        if arguments.shard_size or sys.stdout.isatty():
            raise CommandError("a tar goes to a pipe or a file, and shards go to files")
        target: Shards | Pipe = Pipe(sys.stdout.buffer, arguments.after)
    else:
        target = _shards(Path(arguments.file), arguments.shard_size)
    act_as_run_user(node.config)
    return target


def _shards(path: Path, shard_size: str | None) -> Shards:
    try:
        most_bytes = bytes_of(shard_size) if shard_size else float("inf")
    except ValueError as error:
        raise CommandError(f"--shard-size: {error}") from None
    if not shard_size and path.exists():
        raise CommandError(f"{path} is there already")
    try:
        return Shards(_names(path) if shard_size else lambda _: path, most_bytes)
    except ValueError as error:
        raise CommandError(f"{path}: what is there is no export: {error}") from None


def _names(path: Path) -> Callable[[int], Path]:
    return lambda number: path.with_name(f"{path.stem}-{number:06d}{path.suffix}")


class _Run:
    """One export to what is called `name`; `damaged` are keys, and why they were not exported."""

    def __init__(self, node: Node, target: Shards | Pipe, name: str) -> None:
        self._node = node
        self._target = target
        self._name = name
        self._count = 0
        self.damaged: list[dict[str, str]] = []

    def export(self) -> None:
        store = self._node.store
        with tqdm(total=self._total(), unit=" pictures", desc="export", disable=None) as bar:
            for key in keys_behind(store, self._target.last):
                try:
                    self._count += self._add(key)
                except Damaged as error:
                    self.damaged.append({"key": key, "reason": str(error)})
                    tqdm.write(f"{key}: not exported: {error}", file=sys.stderr)
                bar.update()
            with self._writing():
                self._target.finish()

    def _add(self, key: str, *, again: bool = True) -> bool:
        """Export a picture; say whether it is still here.  One that is replaced meanwhile looks damaged once.

        Raises Damaged.
        """
        try:
            pieces = pieces_of(self._node.store, key)
            if pieces:
                with self._writing():  # another tar may be begun
                    self._target.add(pieces)
            return pieces is not None
        except Damaged:
            if not again:
                raise
            return self._add(key, again=False)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Act as who started the command.  Raises Failed where nothing more can be written."""
        try:
            with with_own_rights():
                yield
        except (BrokenPipeError, PermissionError):  # told alike by all commands
            raise
        except OSError as error:
            where, ways = (
                self._name,
                "what was written stays, and the same command goes on from there",
            )
            if self._name == STDOUT:
                where, ways = "standard output", "--after KEY goes on behind a picture"
            raise Failed(f"{where}: {error.strerror}; {ways}") from error

    def _total(self) -> int | None:
        """Return about how many there are, None where nobody knows."""
        if self._target.last:
            return None
        with contextlib.suppress(DatabaseUnavailable), self._node.database.transaction() as cursor:
            return catalog.about(cursor)
        return None

    def report(self, *, as_json: bool, to: Any) -> None:
        """Print the sums."""
        files = [str(path) for path in self._target.written]
        if as_json:
            told = {"exported": self._count, "files": files, "not_exported": self.damaged}
            print(json.dumps(told, indent=2), file=to)
        else:
            print(f"{self._count} exported, {len(self.damaged)} not", file=to)
