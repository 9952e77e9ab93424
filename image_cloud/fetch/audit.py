"""Compares originals with what was recorded of them, both ways, and heals what is wrong.

A damaged file is set aside into `quarantine/` and fetched again: from a peer first, the origin second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from image_cloud.cluster.peers import Peers
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.errors import ImageCloudError, OriginNotFound, PeerAway
from image_cloud.fetch.load import Cache
from image_cloud.picture import formats, structure
from image_cloud.picture.record import TICK_S, Original, Record
from image_cloud.picture.url import Url
from image_cloud.storage.originals import FOLDERS
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

FOLDERS_A_BATCH, ENOUGH = 32, 8
"""So many originals of a young storage, whose folders have one each, share a look at the database.

A batch is read whole: more would be a burst of many times what the audit may read in a second.
"""
DAMAGED, TRUNCATED, MISSING, UNRECORDED = "damaged", "truncated", "missing", "unrecorded"
MAY_DIFFER = ("stored_from", "etag", "last_modified", "final_key")
INCONSISTENT = "inconsistent"
"""The file is whole, but its record or its row says something else of it."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `record` is what should be there, None where nobody knows.

    `fields` are those of record and row that are wrong, where the file is right.
    """

    kind: str
    key: str
    record: Record | None
    original: Original | None
    fields: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Batch:
    """The originals of folders from number `first` on, before `following`: FOLDERS where it is the last."""

    first: int
    following: int
    originals: list[Original]


class Auditor:
    """Looks at a batch of originals, or at some rows of the catalogue, at a time.

    Compares `store` with `database`; heals through `cache`, asking `peers` for lost URLs.
    """

    def __init__(self, store: Store, database: Database, peers: Peers, cache: Cache) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._cache = cache

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield all originals of folders from number `first` (below FOLDERS) on."""
        numbers = self._store.originals.folders(first)
        number = next(numbers, FOLDERS)
        while number < FOLDERS:
            begun_at, originals = number, list[Original]()
            for _ in range(FOLDERS_A_BATCH):
                originals += self._store.originals.in_folder(number)
                number = next(numbers, FOLDERS)
                if number == FOLDERS or len(originals) >= ENOUGH:
                    break
            yield Batch(begun_at, number, originals)

    def look_at(
        self, originals: Sequence[Original], on_read: Callable[[int], None]
    ) -> Iterator[Finding]:
        """Yield what is wrong with some originals; tell `on_read` the bytes of each that was read."""
        rows = self._rows([original.key for original in originals]) if originals else {}
        for original in originals:
            finding = self._compare(original, rows.get(original.key), on_read)
            if finding:
                yield finding

    def missing(self, key: str, limit: int) -> tuple[str, list[Finding]]:
        """Look at the next `limit` rows behind `key`; return the last key, empty at the end."""
        with self._database.transaction() as cursor:
            rows = catalog.after(cursor, key, limit)
        lost = [row for row in rows if self._store.originals.find(row.key) is None]
        if lost:  # those whose rows are gone, too, were deleted or dropped while we looked
            still = self._rows([row.key for row in lost])
            lost = [row for row in lost if row.key in still]
        findings = [self._missing(row) for row in lost]
        return rows[-1].key if len(rows) == limit else "", findings

    def _rows(self, keys: list[str]) -> dict[str, Record]:
        with self._database.transaction() as cursor:
            return catalog.find_all(cursor, keys)

    def _missing(self, row: Record) -> Finding:
        """An empty file counts as missing, but is set aside like a damaged one."""
        for is_private in (False, True):
            original = row.original(is_private=is_private)
            if self._store.originals.has_file(original):
                return Finding(TRUNCATED, row.key, row, original)
        return Finding(MISSING, row.key, row, None)

    def repair(self, finding: Finding) -> str:
        """Heal one finding; return what was done: `recorded`, `fetched`, `set aside` or `lost`.

        Raises what keeps it from being healed now.
        """
        record = finding.record or self._from_feeds(finding.key)
        if finding.kind == INCONSISTENT and record:
            self._correct(record)
            return "recorded"
        if finding.kind == UNRECORDED and record and self._is_of(finding.original, record):
            self._adopt(record)
            return "recorded"
        if finding.original:
            kept = self._store.quarantine(finding.original)
            log.warning(
                "event=set_aside key=%s kind=%s file=%s", finding.key, finding.kind, kept.name
            )
        if record is None or not self._is_current(record):
            return "set aside"
        return self._fetch(record)

    def _is_of(self, original: Original | None, record: Record) -> bool:
        """Say whether `record` tells of the bytes of an original that was found."""
        return original is not None and self._store.originals.sha256(original) == record.sha256

    def _adopt(self, record: Record) -> None:
        self._store.records.note(record)
        commit_records(self._store, self._database, [record])

    def _correct(self, record: Record) -> None:
        self._store.records.note(record)
        with self._database.transaction() as cursor:
            catalog.correct(cursor, record)
        self._store.records.settle(record)

    def _fetch(self, record: Record) -> str:
        try:
            self._cache.restore(record)
        except OriginNotFound:
            url = Url.parse(record.url)
            # Raises PeerAway where one cannot be asked: it may be the one that has it.
            if any(self._peers.has(peer, url, record.sha256) for peer in self._peers.all):
                raise
            self._store.drop(record)
            with self._database.transaction() as cursor:
                catalog.forget(cursor, [record])
            log.error("event=lost key=%s", record.key)
            return "lost"
        return "fetched"

    def _is_current(self, record: Record) -> bool:
        """Say whether the picture is still wanted: a delete may have come since."""
        tombstone = self._store.tombstones.find(record.key)
        return tombstone is None or not tombstone.forbids(record.stored_at)

    def _compare(
        self, original: Original, row: Record | None, on_read: Callable[[int], None]
    ) -> Finding | None:
        noted = self._store.records.find(original.key)
        known = [record for record in (noted, row) if record]
        path = self._store.originals.path(original)
        try:
            size = self._store.originals.stat(original).st_size
            if known and size not in [record.bytes for record in known]:
                kind = TRUNCATED if size < known[0].bytes else DAMAGED
                return self._confirm(Finding(kind, original.key, known[0], original))
            digest = self._store.originals.sha256(original)
            on_read(size)
            record = next((one for one in known if one.is_of(size, digest)), None)
            if record:
                return self._compare_row(original, _as_file_says(record, path), noted, row)
        except FileNotFoundError:
            return None  # deleted or replaced while we looked
        if known:
            return self._confirm(Finding(DAMAGED, original.key, known[0], original))
        return self._confirm(Finding(UNRECORDED, original.key, None, original))

    def _compare_row(
        self, original: Original, truth: Record, noted: Record | None, row: Record | None
    ) -> Finding | None:
        """Compare record and row with the `truth` about a file that is whole."""
        is_settled = noted is None or not self._store.records.is_unrecorded(original.key)
        if row is None and is_settled:
            return self._confirm(Finding(UNRECORDED, original.key, truth, original))
        known = [one for one in (noted, row) if one and is_settled]
        if fields := _differences(truth, known):
            return self._confirm(Finding(INCONSISTENT, original.key, truth, original, fields))
        self._store.retag(truth)
        if noted is None:
            self._adopt(truth)  # the row alone knew it
        return None

    def _confirm(self, finding: Finding) -> Finding | None:
        """Drop a finding that a store or a delete since then explains."""
        assert finding.original
        if finding.kind == INCONSISTENT:
            return finding if self._is_still_inconsistent(finding) else None
        same = self._store.records.find(finding.key) in (finding.record, None)
        if finding.kind == UNRECORDED and self._rows([finding.key]):
            return None
        return finding if same and self._store.originals.has_file(finding.original) else None

    def _is_still_inconsistent(self, finding: Finding) -> bool:
        assert finding.record
        known = [self._store.records.find(finding.key), self._rows([finding.key]).get(finding.key)]
        fields = _differences(finding.record, [one for one in known if one])
        return fields == finding.fields and not self._store.records.is_unrecorded(finding.key)

    def _from_feeds(self, key: str) -> Record | None:
        for peer in self._peers.all:
            with contextlib.suppress(PeerAway, ImageCloudError):
                record = self._peers.find_record(peer, key)
                if record:
                    return record
        return None


def _as_file_says(record: Record, path: Path) -> Record:
    """Return `record` with what the file itself and the URL's text tell."""
    with open(path, "rb") as file:
        fmt = formats.sniff(file.read(formats.HEAD_BYTES))
        if fmt is None:
            return record
        file.seek(0)
        width, height = structure.size_of(file, fmt.name) or (record.width, record.height)
    host = Url.parse(record.url).host
    return dataclasses.replace(record, host=host, format=fmt.name, width=width, height=height)


def _differences(truth: Record, known: Sequence[Record]) -> tuple[str, ...]:
    """Return the fields in which one of `known` is not like `truth`.

    Who sent a picture may differ, and what its origin last said of it: that is no matter of the bytes.
    """
    return tuple(
        field.name
        for field in dataclasses.fields(Record)
        if field.name not in MAY_DIFFER
        and any(not _is_same(getattr(truth, field.name), getattr(one, field.name)) for one in known)
    )


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < TICK_S
    return one == other
