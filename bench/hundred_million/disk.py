"""What each picture costs on disk, and what goes through all of them, on a sample of real files."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.hundred_million import rows
from bench.hundred_million.measured import Measured
from bench.hundred_million.meter import Meter
from daemons.janitor.eviction import Eviction
from image_cloud.config.sections import Database as Settings
from image_cloud.node import Node
from image_cloud.picture.record import Record, Tombstone
from image_cloud.storage.local.variants import variant_path
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.space import Space
from tests.frontdoor.client import jpeg
from tests.node import new_node
from tests.storage import keep

VARIANTS, VARIANT_BYTES, ORIGINAL_BYTES = 3, 8000, 150_000
PREFIX = "00"  # where the sample stands: as densely as a hundredth of all would


def sample(dsn: str, meter: Meter, first: int, files: int) -> Iterator[Measured]:
    """Yield what `files` pictures cost that stand as the product stores them; numbers go on from `first`."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as folder:
        node = new_node(Path(folder), database=dataclasses.replace(Settings(), dsn=dsn))
        content = jpeg(1200, 1600)
        content += bytes(ORIGINAL_BYTES - len(content))
        records = [_of(content, one) for one in itertools.islice(_records(first), files)]
        stored = meter(lambda: _store(node, content, records))
        yield Measured(
            "storing: file, record and row, synced in batches of 200", stored, "s", files
        )
        for record in records:
            _make_variants(node, record)
        yield Measured(f"inodes, {VARIANTS} variants each", _inodes(folder), "", files)
        yield from _walks(node, meter, records)


def _records(first: int) -> Iterator[Record]:
    for number in itertools.count(first):
        record = rows.record(number)
        if record.key.startswith(PREFIX):
            yield record


def _of(content: bytes, record: Record) -> Record:
    digest = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(record, bytes=len(content), sha256=digest)


def _store(node: Node, content: bytes, records: list[Record]) -> None:
    for begin in range(0, len(records), 200):
        batch = records[begin : begin + 200]
        for record in batch:
            keep(node.store, record, content)
        commit_records(node.store, node.database, batch)


def _make_variants(node: Node, record: Record) -> None:
    for number in range(VARIANTS):
        path = node.storage / variant_path(record.key, f"{100 * number + 100}x0.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(VARIANT_BYTES))


def _inodes(folder: str) -> int:
    """Return how many files there are, and folders of one picture's variants."""
    storage = Path(folder) / "storage"
    kinds = ("originals/??/??/*", "records/??/??/*", "variants/??/??/*", "variants/??/??/*/*")
    return sum(1 for kind in kinds for _ in storage.glob(kind))


def _walks(node: Node, meter: Meter, records: list[Record]) -> Iterator[Measured]:
    files = len(records)

    def audit() -> None:
        for batch in node.auditor.batches():
            assert not list(node.auditor.look_at(batch.originals, lambda _: None))

    def find() -> None:
        assert all(node.store.originals.find(one.key) for one in records)

    yield Measured("audit, `verify`: files of 150 kB, read and compared", meter(audit), "s", files)
    yield Measured("audit, `verify`: is each row's file there?", meter(find), "s", files)
    eviction = Eviction(node.storage, 1 << 60, Space(node.storage), files_per_step=10**9)
    yield Measured("eviction: one walk over all variants", meter(eviction.step), "s", files)
    read = meter(lambda: list(node.store.records.settled()))
    yield Measured("rebuilding the catalogue: reading the records", read, "s", files)
    yield _tombstones(node, meter, files)


def _tombstones(node: Node, meter: Meter, count: int) -> Measured:
    """Measure the walk that forgets old deletes; one picture of a hundred was deleted."""
    for number in range(count // 10):
        one = rows.record(number)
        node.store.tombstones.write(Tombstone(one.key, one.url, 1.0e9))
    walked = meter(lambda: node.store.tombstones.expire(0.0, count))
    return Measured("forgetting deletes: one walk, 1 % deleted", walked, "s", count * 10)
