"""Imports of tars in webdataset's layout, `export`'s among them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from tqdm import tqdm

from image_cloud.bulk.archive_import import ArchiveImporter
from image_cloud.bulk.members import NotTar
from image_cloud.bulk.samples import BLOCK_BYTES
from image_cloud.cli.access import CommandError, act_as_run_user, with_own_rights
from image_cloud.cli.stores.tally import Tally, commit
from image_cloud.fetch.arrival import Arrivals
from image_cloud.node import Node
from image_cloud.picture.formats import FORMATS

STDIN = "-"
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\3\4")


def is_tar(name: str) -> bool:
    """Say whether a file is no list of lines: standard input is taken for a tar.

    Raises CommandError for a compressed file.
    """
    if name == STDIN:
        return True
    begin = b""
    with contextlib.suppress(OSError), open(name, "rb") as file:
        begin = file.read(BLOCK_BYTES)
    if begin.startswith(COMPRESSED):
        raise CommandError(
            f"{name} is compressed: unpack it into a pipe, as in `zcat FILE | image-cloud import -`"
        )
    return b"\0" in begin  # as in each tar's first header, and in no text


def import_tars(node: Node, names: Sequence[str], tally: Tally) -> None:
    """Take the pictures of all tars.  A file that is none, or ends in the middle, is told."""
    act_as_run_user(node.config)
    arrivals = Arrivals(node.store, FORMATS, lambda _: None)
    importer = ArchiveImporter(
        node.store, arrivals, lambda here: commit(node, here), node.config.cluster.max_bytes
    )
    with tqdm(unit=" pictures", desc="import", disable=None) as bar:
        for name in names:
            with _opened(name) as file:
                _import(importer, file, name, tally, bar)


def _import(
    importer: ArchiveImporter, file: BinaryIO, name: str, tally: Tally, bar: tqdm[Any]
) -> None:
    try:
        for number, outcome in enumerate(importer.take(file), 1):
            if outcome.what:
                tally.count(outcome.what)
            else:
                tally.refuse(number, outcome.name, outcome.reason)
            bar.update()
    except NotTar as error:
        tally.refuse(0, name, str(error))


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with with_own_rights():  # the tar may be root's alone
        file = open(name, "rb")  # noqa: SIM115
    with file:
        yield file
