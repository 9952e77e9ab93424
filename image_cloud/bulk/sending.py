"""The source of a stream: originals of this node, one after the other, as one tar."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from image_cloud.bulk.samples import END, absent, described, header, padding
from image_cloud.picture.record import Original, Record
from image_cloud.storage.store import Store

BLOCK_BYTES = 256 * 1024
"""What one answer holds in memory, a few times over, however large its pictures are."""


class Shrunk(Exception):
    """A file has become shorter while it was sent: the stream cannot go on."""


def stream(
    store: Store,
    keys: Iterable[str],
    longest_s: float,
    *,
    records_only: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the tar of the originals of `keys` in that order, in blocks of about BLOCK_BYTES.

    What is not here is told as absent; with `records_only` what is here is told without its bytes.
    After `longest_s` the stream ends in order, before the next picture.
    Raises OSError and Shrunk in the middle of a picture.
    """
    until, waiting, size = clock() + longest_s, list[bytes](), 0
    for key in keys:
        if clock() >= until:
            break
        pieces = sample(store, key) or iter([absent(key)])
        for piece in itertools.islice(pieces, 1) if records_only else pieces:
            if size + len(piece) > BLOCK_BYTES and waiting:
                yield b"".join(waiting)
                waiting, size = [], 0
            waiting.append(piece)
            size += len(piece)
    yield b"".join([*waiting, END])


def sample(store: Store, key: str) -> Iterator[bytes] | None:
    """Return the two members of a picture piece by piece; None where it is not here, or of another size."""
    original, record = store.originals.find(key), store.records.find(key)
    if original is None or record is None:
        return None
    try:
        file = open(store.originals.path(original), "rb", buffering=0)  # noqa: SIM115
    except FileNotFoundError:
        return None  # deleted in this moment
    with contextlib.ExitStack() as undo:
        undo.enter_context(file)
        if os.fstat(file.fileno()).st_size != record.bytes:
            return None
        undo.pop_all()
    return _members(file, original, record)


def _members(file: BinaryIO, original: Original, record: Record) -> Iterator[bytes]:
    with file:
        yield described(record, is_private=original.is_private)
        yield header(f"{record.key}.{original.extension}", record.bytes, record.stored_at)
        left = record.bytes
        while left:
            block = file.read(min(left, BLOCK_BYTES))
            if not block:
                raise Shrunk(record.key)
            left -= len(block)
            yield block
        yield padding(record.bytes)
